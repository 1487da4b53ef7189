import type { Topic } from './topic.ts';

/** On the way. */
export const travelTopics: readonly Topic[] = [
  {
    name: 'packing',
    notes: ['Packing List', 'Bag Notes'],
    snippets: [
      ['dataview', 'TASK FROM "Packing" WHERE !completed', 'list what is not packed yet'],
      ['python', 'shirts = min(days, 5)', 'work out the shirts to take'],
    ],
    aspects: [
      {
        goals: ['pack for a trip', 'pack a light bag'],
        tips: [
          ['lay everything out and remove a third', 'the bag stays light'],
          ['roll {your} clothes', 'they need less space'],
          ['choose colours that go together', 'few clothes are enough'],
          ['keep papers in the top pocket', 'they are at hand'],
        ],
      },
      {
        goals: ['make a packing list', 'reuse my packing list'],
        tips: [
          ['start from the list of the last trip', 'nothing is new'],
          ['group the list by bag', 'packing goes step by step'],
          ['cross out what was not used', 'the list gets better each time'],
          ['add the weather to the note', 'the choice makes sense later'],
        ],
      },
    ],
  },
  {
    name: 'trips',
    notes: ['Trip Plan', 'City Notes'],
    snippets: [
      ['dataview', 'TABLE day, place FROM #trip', 'show the plan day by day'],
      ['python', 'per_day = budget / days', 'work out the money per day'],
    ],
    aspects: [
      {
        goals: ['plan a city trip', 'plan a weekend in a city'],
        tips: [
          ['choose two sights per day', 'there is time to wander'],
          ['stay close to a train station', 'the ways are short'],
          ['book the museum in advance', 'there is no long line'],
          ['save {your} map for offline use', 'the way is always known'],
        ],
      },
      {
        goals: ['travel on a small budget', 'save money on a trip'],
        tips: [
          ['travel on a Tuesday', 'the tickets cost less'],
          ['eat the main meal at noon', 'the menu is cheaper'],
          ['buy a week ticket for the bus', 'each ride is free'],
          ['fill a bottle at the hotel', 'no water needs to be bought'],
        ],
      },
    ],
  },
  {
    name: 'hiking',
    notes: ['Hike Log', 'Trail Map'],
    snippets: [
      ['dataview', 'TABLE km, climb FROM #hike', 'show the climb of each hike'],
      ['python', 'hours = km / 4 + climb / 400', 'guess the hours of a hike'],
    ],
    aspects: [
      {
        goals: ['plan a hike', 'prepare for a day in the mountains'],
        tips: [
          ['check the weather in the morning', 'no storm is a surprise'],
          ['tell a friend about {your} route', 'help knows where to look'],
          ['turn back in the early afternoon', 'the way down is in daylight'],
          ['carry more water than needed', 'a hot day is safe'],
        ],
      },
      {
        goals: ['choose hiking shoes', 'avoid sore feet on a hike'],
        tips: [
          ['try the shoes on in the evening', 'they fit when feet are warm'],
          ['walk in new shoes at home first', 'they get soft in time'],
          ['wear two thin pairs of socks', 'the skin does not rub'],
          ['tie the shoes again before going down', 'the toes stay free'],
        ],
      },
    ],
  },
  {
    name: 'photos',
    notes: ['Photo Index', 'Camera Notes'],
    snippets: [
      ['sh', 'ls Photos/*.jpg | wc -l', 'count the photos'],
      ['dataview', 'LIST FROM #photo WHERE stars = 5', 'list the best photos'],
    ],
    aspects: [
      {
        goals: ['sort my photos', 'bring order to my photos'],
        tips: [
          ['sort by year and then by event', 'every folder has its place'],
          ['delete bad shots on the same day', 'the pile stays small'],
          ['pick ten photos per trip', 'they get looked at'],
          ['copy {your} photos to two disks', 'no memory is lost'],
        ],
      },
      {
        goals: ['take better photos', 'take good travel photos'],
        tips: [
          ['shoot in the early morning', 'the light is soft'],
          ['step closer to the subject', 'the frame has no empty parts'],
          ['put the light behind the camera', 'faces are bright'],
          ['hold the breath while pressing', 'the picture is sharp'],
        ],
      },
    ],
  },
];
