import type { Topic } from './topic.ts';

/** Learning. */
export const studyTopics: readonly Topic[] = [
  {
    name: 'language study',
    notes: ['Word List', 'Spanish Diary'],
    snippets: [
      ['python', 'random.sample(words, 10)', 'draw ten words to repeat'],
      ['dataview', 'LIST FROM #word WHERE !known', 'list the words not yet known'],
    ],
    aspects: [
      {
        goals: ['learn new words', 'remember more Spanish words'],
        tips: [
          ['learn ten words a day', 'the list never gets too long'],
          ['write a sentence with each word', 'the meaning sticks'],
          ['repeat old words before new ones', 'nothing slips away'],
          ['say {your} words aloud', 'the ear helps the memory'],
        ],
      },
      {
        goals: ['speak a foreign language', 'practise speaking Spanish'],
        tips: [
          ['talk to a partner once a week', 'the fear gets small'],
          ['describe the room in short sentences', 'simple words come fast'],
          ['repeat what a film says', 'the sound gets natural'],
          ['accept mistakes and go on', 'the talk does not stop'],
        ],
      },
    ],
  },
  {
    name: 'exams',
    notes: ['Exam Plan', 'Old Exams'],
    snippets: [
      ['python', 'days = (exam - today).days', 'count the days until the exam'],
      ['dataview', 'TASK FROM #exam WHERE !completed', 'list what is left to learn'],
    ],
    aspects: [
      {
        goals: ['prepare for an exam', 'study for my exams'],
        tips: [
          ['spread the work over four weeks', 'the last night is free'],
          ['solve an old exam under time', 'the form holds no surprise'],
          ['explain {your} subject to a friend', 'gaps show up'],
          ['begin with the weakest chapter', 'there is time to repeat it'],
        ],
      },
      {
        goals: ['stay calm in an exam', 'handle exam stress'],
        tips: [
          ['read all questions first', 'the easy points are safe'],
          ['breathe slowly for one minute', 'the pulse comes down'],
          ['skip a question that does not move', 'time is not wasted'],
          ['pack everything the night before', 'the morning is calm'],
        ],
      },
    ],
  },
  {
    name: 'papers',
    notes: ['Paper Notes', 'Method List'],
    snippets: [
      ['dataview', 'TABLE year FROM #paper SORT year', 'sort the papers by year'],
      ['sh', 'ls Papers/*.pdf | wc -l', 'count the papers'],
    ],
    aspects: [
      {
        goals: ['read a research paper', 'understand hard papers'],
        tips: [
          ['read the summary and the figures first', 'the main claim is clear'],
          ['write down one question before reading', 'the eye knows what to look for'],
          ['skip the proofs on the first pass', 'the thread is not lost'],
          ['sum up {your} paper in three lines', 'it can be found again'],
        ],
      },
      {
        goals: ['organise my research notes', 'keep track of my sources'],
        tips: [
          ['give each paper its own note', 'links stay clean'],
          ['copy the source with every quote', 'the page is never lost'],
          ['separate facts from own ideas', 'it is clear who said what'],
          ['group the notes by question', 'the text almost writes itself'],
        ],
      },
    ],
  },
  {
    name: 'flashcards',
    notes: ['Card Box', 'Memory Notes'],
    snippets: [
      ['js', 'next = days * 2', 'double the time until the next review'],
      ['dataview', 'LIST FROM #card WHERE due <= date(today)', 'list the cards of the day'],
    ],
    aspects: [
      {
        goals: ['write good flashcards', 'make better flashcards'],
        tips: [
          ['ask one thing per card', 'the answer is quick'],
          ['add a small picture', 'the memory has a hook'],
          ['use own words on each card', 'the sense comes before the sound'],
          ['delete the cards that annoy', 'the pile stays friendly'],
        ],
      },
      {
        goals: ['review flashcards', 'keep up with my flashcards'],
        tips: [
          ['review {your} cards on the bus', 'no extra time is needed'],
          ['stop after twenty cards', 'the mind stays fresh'],
          ['mix old cards with new ones', 'the review is never dull'],
          ['answer aloud before turning the card', 'guessing does not count'],
        ],
      },
    ],
  },
];
