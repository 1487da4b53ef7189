import type { Topic } from './topic.ts';

/** Rest and habits. */
export const wellbeingTopics: readonly Topic[] = [
  {
    name: 'sleep',
    notes: ['Sleep Log', 'Night Notes'],
    snippets: [
      ['python', 'hours = wake - bed', 'work out the hours of sleep'],
      ['dataview', 'TABLE hours FROM #sleep', 'show the hours of each night'],
    ],
    aspects: [
      {
        goals: ['sleep better', 'get more sleep'],
        tips: [
          ['go to bed at the same hour', 'the body knows the time'],
          ['keep {your} bedroom cool and dark', 'the night is deep'],
          ['drink the last coffee at noon', 'the head is calm by evening'],
          ['put screens away an hour before bed', 'the eyes get tired'],
        ],
      },
      {
        goals: ['wake up early', 'get out of bed in the morning'],
        tips: [
          ['place the alarm across the room', 'it takes a walk to stop it'],
          ['open the curtains at once', 'the light does the waking'],
          ['plan something nice for the morning', 'there is a reason to rise'],
          ['get up at the same time on Sunday', 'Monday is not a shock'],
        ],
      },
    ],
  },
  {
    name: 'meditation',
    notes: ['Quiet Time', 'Breath Notes'],
    snippets: [
      ['sh', 'sleep 600 && echo done', 'set a timer for ten minutes'],
      ['dataview', 'TABLE minutes FROM #quiet', 'show the quiet minutes'],
    ],
    aspects: [
      {
        goals: ['start to meditate', 'learn to meditate'],
        tips: [
          ['sit for five minutes after waking', 'the day begins in peace'],
          ['count ten breaths and begin again', 'the mind has an anchor'],
          ['use one quiet chair', 'the place brings the calm'],
          ['note {your} minutes in a table', 'the chain is nice to see'],
        ],
      },
      {
        goals: ['calm down after work', 'relax in the evening'],
        tips: [
          ['walk around the block before dinner', 'work stays outside'],
          ['write down the worries of the day', 'the head gets empty'],
          ['play soft music while cooking', 'the pace slows down'],
          ['breathe out longer than in', 'the heart gets slow'],
        ],
      },
    ],
  },
  {
    name: 'habits',
    notes: ['Habit Table', 'Goal Notes'],
    snippets: [
      ['dataview', 'TABLE water, walk FROM "Daily"', 'show two habits side by side'],
      ['js', 'days.filter(d => d.done).length', 'count the days that worked'],
    ],
    aspects: [
      {
        goals: ['build a new habit', 'stick to a habit'],
        tips: [
          ['make the first step very small', 'there is no excuse'],
          ['tie {your} habit to an old one', 'it has a fixed moment'],
          ['mark each day on a chart', 'the chain pulls along'],
          ['never miss two days in a row', 'a slip stays a slip'],
        ],
      },
      {
        goals: ['track my habits', 'follow my habits in a table'],
        tips: [
          ['track three habits at most', 'the table is filled in'],
          ['tick the boxes before bed', 'the day is still fresh'],
          ['look at the table on Sunday', 'weak days are easy to see'],
          ['drop a habit that lost its sense', 'the rest gets more care'],
        ],
      },
    ],
  },
  {
    name: 'screen time',
    notes: ['Phone Rules', 'Focus Log'],
    snippets: [
      ['python', 'share = phone / awake', 'work out the share of phone time'],
      ['dataview', 'TABLE focus FROM "Daily" SORT focus', 'sort the days by focus'],
    ],
    aspects: [
      {
        goals: ['use my phone less', 'spend less time on my phone'],
        tips: [
          ['switch off every signal but calls', 'the phone stays silent'],
          ['charge {your} phone in the kitchen', 'the bed is free of it'],
          ['remove the two worst apps', 'the hand finds nothing'],
          ['buy a real alarm clock', 'the morning starts without a screen'],
        ],
      },
      {
        goals: ['focus on my work', 'work without distraction'],
        tips: [
          ['work in blocks of forty minutes', 'the mind has an end in sight'],
          ['write the next step on paper', 'the start is easy'],
          ['close all windows but one', 'the eye cannot wander'],
          ['take a real break outside', 'the focus comes back'],
        ],
      },
    ],
  },
];
