import type { Topic } from './topic.ts';

/** Money and the house. */
export const homeTopics: readonly Topic[] = [
  {
    name: 'budget',
    notes: ['Budget Sheet', 'Money Diary'],
    snippets: [
      ['python', 'rest = income - sum(costs)', 'see what is left this month'],
      ['dataview', 'TABLE sum(rows.cost) FROM #cost GROUP BY month', 'add up the costs by month'],
    ],
    aspects: [
      {
        goals: ['make a budget', 'plan my money'],
        tips: [
          ['write down every cost for a month', 'the plan rests on facts'],
          ['sort {your} costs into five groups', 'the large ones stand out'],
          ['put savings aside on the first day', 'they are not spent by chance'],
          ['keep a small sum for fun', 'the plan can last'],
        ],
      },
      {
        goals: ['save more money', 'spend less money'],
        tips: [
          ['wait two days before a large purchase', 'the wish may fade'],
          ['cancel what has not been used for months', 'money is saved without effort'],
          ['cook at home on weekdays', 'eating out stays special'],
          ['compare prices once a year', 'old contracts do not get expensive'],
        ],
      },
    ],
  },
  {
    name: 'cleaning',
    notes: ['Cleaning Plan', 'House List'],
    snippets: [
      ['dataview', 'TASK FROM #house WHERE due = date(today)', 'list the house tasks of the day'],
      ['js', 'rooms[week % rooms.length]', 'pick the room of the week'],
    ],
    aspects: [
      {
        goals: ['keep my home tidy', 'make a cleaning plan'],
        tips: [
          ['clean one room per day', 'the weekend stays free'],
          ['put each thing back after use', 'a mess cannot grow'],
          ['wipe the kitchen every evening', 'the morning starts well'],
          ['share the tasks on {your} list', 'nobody does it all'],
        ],
      },
      {
        goals: ['clear out my closet', 'get rid of old things'],
        tips: [
          ['begin with a single drawer', 'the first success is quick'],
          ['give away what was not used for a year', 'there is room again'],
          ['make three piles on the floor', 'each choice is simple'],
          ['take the bags out on the same day', 'nothing comes back'],
        ],
      },
    ],
  },
  {
    name: 'repairs',
    notes: ['Repair Log', 'Tool Box'],
    snippets: [
      ['dataview', 'TABLE cost FROM #repair', 'show the cost of each repair'],
      ['sh', 'grep -i leak Repairs/*.md', 'find the notes about a leak'],
    ],
    aspects: [
      {
        goals: ['plan small repairs', 'keep track of repairs at home'],
        tips: [
          ['write each fault down at once', 'small faults are not forgotten'],
          ['take a photo before opening anything', 'the parts go back in order'],
          ['do all small repairs on one morning', 'the tools come out once'],
          ['store {your} manuals in one folder', 'help is close'],
        ],
      },
      {
        goals: ['fix a dripping tap', 'repair a leaking tap'],
        tips: [
          ['close the main valve first', 'the floor stays dry'],
          ['lay a towel in the sink', 'no screw is lost'],
          ['take the old ring to the shop', 'the new one fits'],
          ['clean the seat before closing', 'the tap is tight again'],
        ],
      },
    ],
  },
  {
    name: 'moving house',
    notes: ['Moving List', 'Box Index'],
    snippets: [
      ['dataview', 'TABLE room FROM #box', 'show the room of each box'],
      ['python', 'boxes = rooms * 12', 'guess the number of boxes'],
    ],
    aspects: [
      {
        goals: ['plan a move', 'move to a new flat'],
        tips: [
          ['book the van six weeks ahead', 'the day is safe'],
          ['number {your} boxes and list them', 'each thing can be found'],
          ['tell the bank and the post early', 'no letter gets lost'],
          ['ask four friends for one morning', 'the stairs are half as long'],
        ],
      },
      {
        goals: ['pack moving boxes', 'pack my kitchen for a move'],
        tips: [
          ['fill books into small boxes', 'the back is grateful'],
          ['wrap plates in old clothes', 'nothing breaks'],
          ['write the room on each side', 'the box lands in the right place'],
          ['keep one box for the first night', 'tea and soap are at hand'],
        ],
      },
    ],
  },
];
