import type { Topic } from './topic.ts';

/** Playing and hearing music. */
export const musicTopics: readonly Topic[] = [
  {
    name: 'guitar',
    notes: ['Guitar Log', 'Chord Sheet'],
    snippets: [
      ['dataview', 'TABLE minutes FROM #guitar', 'show the minutes of each session'],
      ['python', 'tempo = tempo * 1.05', 'raise the tempo by five percent'],
    ],
    aspects: [
      {
        goals: ['practise guitar', 'get more out of guitar practice'],
        tips: [
          ['play for fifteen minutes every day', 'the fingers remember more'],
          ['leave {your} guitar on a stand', 'it is easy to pick up'],
          ['begin with the hardest bar', 'the mind is still fresh'],
          ['record one song at the end of the week', 'progress can be heard'],
        ],
      },
      {
        goals: ['change chords faster', 'play clean chord changes'],
        tips: [
          ['switch between two chords for a minute', 'the hand learns the path'],
          ['press close to the fret', 'less force is needed'],
          ['set the metronome to a slow beat', 'every change is clean'],
          ['lift the fingers together', 'the chord lands in one move'],
        ],
      },
    ],
  },
  {
    name: 'piano',
    notes: ['Piano Diary', 'Scale Plan'],
    snippets: [
      ['python', 'random.choice(scales)', 'draw a scale for the day'],
      ['dataview', 'LIST FROM #piano WHERE open', 'list the pieces still open'],
    ],
    aspects: [
      {
        goals: ['learn a new piano piece', 'study a piece on the piano'],
        tips: [
          ['learn each hand on its own', 'the hard parts get small'],
          ['work on four bars at a time', 'the end is always in sight'],
          ['write the fingers above the notes', 'they stay the same'],
          ['play slowly without mistakes', 'no error gets a habit'],
        ],
      },
      {
        goals: ['practise scales', 'make scales less boring'],
        tips: [
          ['pick one scale per week', 'it has time to settle'],
          ['play {your} scale in a new rhythm', 'the ear stays awake'],
          ['count aloud with the beat', 'the tempo stays even'],
          ['close the eyes on the second round', 'the hands find their own way'],
        ],
      },
    ],
  },
  {
    name: 'singing',
    notes: ['Voice Log', 'Choir Notes'],
    snippets: [
      ['dataview', 'LIST FROM #song SORT key', 'sort the songs by key'],
      ['sh', 'ls Recordings', 'list the recordings'],
    ],
    aspects: [
      {
        goals: ['warm up my voice', 'prepare my voice for singing'],
        tips: [
          ['hum softly for five minutes', 'the voice wakes up gently'],
          ['drink warm water before singing', 'the throat is not dry'],
          ['stand with loose knees', 'the breath can flow'],
          ['start in the middle of the range', 'high notes come without force'],
        ],
      },
      {
        goals: ['learn my part for the choir', 'remember a song'],
        tips: [
          ['speak the words in rhythm', 'the text sits before the tune'],
          ['listen to {your} part while walking', 'the tune stays in the ear'],
          ['mark every breath in the score', 'no line ends in panic'],
          ['sing the last page first', 'the ending is safe'],
        ],
      },
    ],
  },
  {
    name: 'listening',
    notes: ['Album Log', 'Concert List'],
    snippets: [
      ['dataview', 'TABLE artist FROM #album', 'show the artist of each album'],
      ['js', 'albums.sort((a, b) => b.stars - a.stars)', 'sort the albums by stars'],
    ],
    aspects: [
      {
        goals: ['keep a music diary', 'track the albums that I hear'],
        tips: [
          ['write one line per album', 'the diary takes no time'],
          ['give stars after the second listen', 'the first mood does not decide'],
          ['note who told {you} about the album', 'good sources are easy to see'],
          ['list the best album of each month', 'the year ends with twelve favourites'],
        ],
      },
      {
        goals: ['find new music', 'discover new bands'],
        tips: [
          ['follow one small label', 'new names turn up by themselves'],
          ['ask three friends for a song', 'the list has many tastes'],
          ['hear a whole album without the phone', 'quiet songs get a chance'],
          ['visit one small concert a month', 'the music is close'],
        ],
      },
    ],
  },
];
