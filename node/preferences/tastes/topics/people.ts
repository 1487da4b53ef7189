import type { Topic } from './topic.ts';

/** Friends and family. */
export const peopleTopics: readonly Topic[] = [
  {
    name: 'birthdays',
    notes: ['Birthday List', 'Gift Ideas'],
    snippets: [
      ['dataview', 'TABLE birthday FROM #person SORT birthday', 'sort the people by birthday'],
      ['js', 'people.filter(p => p.month === now)', 'find the birthdays of this month'],
    ],
    aspects: [
      {
        goals: ['remember birthdays', 'keep track of birthdays'],
        tips: [
          ['keep one note per person', 'dates and wishes stand together'],
          ['set a reminder one week before', 'there is time for a card'],
          ['copy {your} list to the new year', 'no date is lost'],
          ['call in the morning', 'the wish comes first'],
        ],
      },
      {
        goals: ['find a good gift', 'choose a birthday gift'],
        tips: [
          ['write down wishes all year', 'the gift is a surprise'],
          ['give time and not things', 'the memory lasts'],
          ['set a limit before shopping', 'the choice is calm'],
          ['add a line by hand', 'it feels personal'],
        ],
      },
    ],
  },
  {
    name: 'guests',
    notes: ['Guest Book', 'Dinner Plan'],
    snippets: [
      ['dataview', 'LIST FROM #guest WHERE diet', 'list the guests with a diet'],
      ['python', 'bottles = guests / 3', 'work out the bottles to buy'],
    ],
    aspects: [
      {
        goals: ['host a dinner', 'cook for guests'],
        tips: [
          ['ask about diets in advance', 'everyone can eat'],
          ['cook a dish that is well known', 'there is no panic'],
          ['set the table in the afternoon', 'the last hour is free'],
          ['let {your} guests bring the dessert', 'the work is shared'],
        ],
      },
      {
        goals: ['plan a party', 'plan a small party at home'],
        tips: [
          ['invite people three weeks ahead', 'the date is still free'],
          ['warn the neighbours with a card', 'nobody is angry'],
          ['put food in two places', 'people will mix'],
          ['make the playlist the day before', 'the music runs by itself'],
        ],
      },
    ],
  },
  {
    name: 'letters',
    notes: ['Letter Box', 'Friends List'],
    snippets: [
      ['dataview', 'TABLE last_letter FROM #friend', 'show the date of the last letter'],
      ['dataview', 'LIST FROM #friend SORT last_call', 'see who was called long ago'],
    ],
    aspects: [
      {
        goals: ['write a letter', 'write a letter to an old friend'],
        tips: [
          ['begin with a shared memory', 'the tone is warm'],
          ['tell one story and not ten', 'the letter feels close'],
          ['ask two real questions', 'there will be an answer'],
          ['write {your} first draft by hand', 'the words slow down'],
        ],
      },
      {
        goals: ['stay in touch with friends', 'keep in touch with old friends'],
        tips: [
          ['call one friend every Sunday', 'no year goes by in silence'],
          ['note what each friend told {you}', 'the next talk goes deeper'],
          ['share a photo without a reason', 'a small hello is enough'],
          ['plan the next visit at the door', 'it will happen'],
        ],
      },
    ],
  },
  {
    name: 'family history',
    notes: ['Family Tree', 'Old Stories'],
    snippets: [
      ['dataview', 'TABLE born, place FROM #family', 'show where everyone was born'],
      ['sh', 'grep -c born Family/*.md', 'count the known births'],
    ],
    aspects: [
      {
        goals: ['research my family history', 'build a family tree'],
        tips: [
          ['start with the living and go back', 'each step has a witness'],
          ['write the source next to each date', 'doubts can be checked'],
          ['give every person a note', 'the links form {your} tree'],
          ['look for letters in the attic', 'names get a voice'],
        ],
      },
      {
        goals: ['record family stories', 'save the stories of my parents'],
        tips: [
          ['record the talk with a phone', 'the voice is kept'],
          ['ask about smells and songs', 'old memories wake up'],
          ['show an old photo first', 'the story starts by itself'],
          ['write the text down in the same week', 'the details are still there'],
        ],
      },
    ],
  },
];
