import type { Topic } from './topic.ts';

/** Plants inside and outside. */
export const gardenTopics: readonly Topic[] = [
  {
    name: 'tomatoes',
    notes: ['Tomato Bed', 'Garden Log'],
    snippets: [
      ['dataview', 'TABLE planted FROM #tomato', 'show when each tomato was planted'],
      ['python', 'plants = bed_length / 0.5', 'work out how many plants fit'],
    ],
    aspects: [
      {
        goals: ['grow tomatoes', 'get more tomatoes from my garden'],
        tips: [
          ['water {your} plants at the root', 'the leaves stay dry'],
          ['tie the stems to a strong stick', 'the wind does no harm'],
          ['pinch out the side shoots', 'the plant puts its strength into fruit'],
          ['choose the sunny side of the house', 'the fruit gets sweet'],
        ],
      },
      {
        goals: ['start tomato seeds indoors', 'raise young tomato plants'],
        tips: [
          ['sow the seeds in early March', 'the plants are strong by May'],
          ['set the pots next to a bright window', 'the stems will not get thin'],
          ['keep the soil warm and damp', 'the seeds wake up quickly'],
          ['take the pots outside on mild days', 'the plants get used to the wind'],
        ],
      },
    ],
  },
  {
    name: 'herbs',
    notes: ['Herb Shelf', 'Balcony Notes'],
    snippets: [
      ['dataview', 'LIST FROM #herb WHERE dry', 'list the herbs that are dry'],
      ['js', 'herbs.filter(h => h.days > 3)', 'find the herbs that need water'],
    ],
    aspects: [
      {
        goals: ['grow herbs on the balcony', 'keep fresh herbs at home'],
        tips: [
          ['give each herb its own pot', 'strong plants leave room for others'],
          ['cut the tips every week', 'the plants grow thick'],
          ['water {your} herbs in the morning', 'the roots will not rot'],
          ['put mint in a deep pot', 'it will not spread'],
        ],
      },
      {
        goals: ['dry my herbs', 'keep herbs for the winter'],
        tips: [
          ['pick the leaves before the flowers open', 'the taste is strong'],
          ['hang small bunches in a dark room', 'the colour stays green'],
          ['fill the dry leaves into a closed jar', 'no damp air gets in'],
          ['freeze soft herbs with some oil', 'they are ready for the pan'],
        ],
      },
    ],
  },
  {
    name: 'compost',
    notes: ['Compost Plan', 'Soil Notes'],
    snippets: [
      ['python', 'brown = green * 2', 'work out the dry part'],
      ['dataview', 'TABLE heat FROM #compost', 'show how warm the heap was'],
    ],
    aspects: [
      {
        goals: ['start a compost heap', 'make my own compost'],
        tips: [
          ['mix green waste with dry leaves', 'the heap does not smell'],
          ['turn the heap every two weeks', 'air gets to every part'],
          ['keep {your} heap as damp as a sponge', 'the worms feel at home'],
          ['place the heap in half shade', 'it will not dry out'],
        ],
      },
      {
        goals: ['improve my garden soil', 'get better soil'],
        tips: [
          ['spread compost over the beds in autumn', 'the worms do the work'],
          ['cover bare soil with straw', 'the rain cannot wash it away'],
          ['grow beans where cabbage stood', 'the soil can recover'],
          ['dig as little as possible', 'the life in the soil stays whole'],
        ],
      },
    ],
  },
  {
    name: 'house plants',
    notes: ['Plant List', 'Window Plan'],
    snippets: [
      ['dataview', 'TABLE watered FROM #plant', 'show when each plant was watered'],
      ['dataview', 'LIST FROM #plant WHERE light = "low"', 'find the plants for dark rooms'],
    ],
    aspects: [
      {
        goals: ['water my house plants', 'keep my house plants healthy'],
        tips: [
          ['feel the soil with a finger first', 'the roots never stand in water'],
          ['turn the pots once a week', 'the plants grow straight'],
          ['wipe the dust off the leaves', 'more light gets in'],
          ['use water that has stood overnight', 'it is not too cold'],
        ],
      },
      {
        goals: ['choose a plant for a dark room', 'find plants that need little light'],
        tips: [
          ['measure the light at noon', 'the choice is based on facts'],
          ['begin with one cheap fern', 'a mistake costs little'],
          ['ask for plants with dark leaves', 'they cope with shade'],
          ['move the plant to the window in winter', 'it will survive the short days'],
        ],
      },
    ],
  },
];
