import type { Topic } from './topic.ts';

/** Moving. */
export const sportTopics: readonly Topic[] = [
  {
    name: 'running',
    notes: ['Running Plan', 'Race Notes'],
    snippets: [
      ['dataview', 'TABLE km FROM #run', 'show the distance of each run'],
      ['python', 'pace = minutes / km', 'work out the pace'],
    ],
    aspects: [
      {
        goals: ['start running', 'build a running plan'],
        tips: [
          ['run three times a week', 'the legs have time to rest'],
          ['keep a pace that allows talking', 'the heart gets strong'],
          ['add ten percent each week', 'the knees can follow'],
          ['note how each run felt', '{you} can see when to rest'],
        ],
      },
      {
        goals: ['prepare for a race', 'train for a ten kilometre race'],
        tips: [
          ['do one long run on Sunday', 'the distance loses its fear'],
          ['rest for two days before the race', 'the legs are fresh'],
          ['wear {your} old shoes at the start', 'no new shoe can hurt'],
          ['run the first part slowly', 'there is power left for the end'],
        ],
      },
    ],
  },
  {
    name: 'cycling',
    notes: ['Bike Log', 'Route Map'],
    snippets: [
      ['python', 'speed = km / hours', 'work out the speed'],
      ['dataview', 'TABLE km FROM #ride SORT km', 'sort the rides by distance'],
    ],
    aspects: [
      {
        goals: ['look after my bike', 'keep my bike in good shape'],
        tips: [
          ['clean the chain after rain', 'it will not rust'],
          ['check the tyres every week', 'a ride is not cut short'],
          ['test {your} brakes before each ride', 'the road is safer'],
          ['write down each repair', 'the next service is easy to plan'],
        ],
      },
      {
        goals: ['ride longer distances', 'plan a long ride'],
        tips: [
          ['eat a snack every hour', 'the power lasts'],
          ['choose a route with a train station', 'there is a way home'],
          ['raise the distance in small steps', 'the back gets used to it'],
          ['carry a spare tube', 'a flat tyre is no problem'],
        ],
      },
    ],
  },
  {
    name: 'stretching',
    notes: ['Stretch Plan', 'Yoga Notes'],
    snippets: [
      ['js', 'setTimeout(next, 30000)', 'wait for thirty seconds'],
      ['dataview', 'LIST FROM #yoga WHERE easy', 'list the easy exercises'],
    ],
    aspects: [
      {
        goals: ['stretch more often', 'make stretching a habit'],
        tips: [
          ['stretch right after brushing the teeth', 'the habit has a fixed place'],
          ['hold each stretch for thirty seconds', 'the muscle can let go'],
          ['leave {your} mat on the floor', 'it is a quiet reminder'],
          ['stop before it hurts', 'nothing gets torn'],
        ],
      },
      {
        goals: ['ease a stiff back', 'help my back after long sitting'],
        tips: [
          ['stand up once every hour', 'the back does not get stiff'],
          ['roll the shoulders ten times', 'the neck gets warm'],
          ['lift the screen to eye level', 'the head stays straight'],
          ['take a short walk after lunch', 'the hips open again'],
        ],
      },
    ],
  },
  {
    name: 'swimming',
    notes: ['Pool Log', 'Swim Drills'],
    snippets: [
      ['python', 'metres = laps * 25', 'work out the metres'],
      ['dataview', 'TABLE laps FROM #swim', 'show the laps of each visit'],
    ],
    aspects: [
      {
        goals: ['swim more often', 'go to the pool more often'],
        tips: [
          ['pack {your} bag the night before', 'the morning has no excuse'],
          ['pick two fixed days', 'nothing else takes the time'],
          ['go with a friend', 'it is harder to stay home'],
          ['count the laps in a note', 'small gains are visible'],
        ],
      },
      {
        goals: ['breathe better while swimming', 'improve my front crawl'],
        tips: [
          ['breathe out under water', 'there is time for the next breath'],
          ['look at the floor of the pool', 'the legs come up'],
          ['breathe on both sides', 'the stroke stays even'],
          ['swim one lap with long slow arms', 'the water feels calm'],
        ],
      },
    ],
  },
];
