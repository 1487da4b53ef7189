import type { Topic } from './topic.ts';

/** Reading and writing. */
export const readingTopics: readonly Topic[] = [
  {
    name: 'reading list',
    notes: ['Reading List', 'Library Plan'],
    snippets: [
      ['dataview', 'LIST FROM #book WHERE !read', 'list the books still unread'],
      ['python', 'pages_per_day = pages / days', 'work out the pages per day'],
    ],
    aspects: [
      {
        goals: ['keep a reading list', 'sort my reading list'],
        tips: [
          ['limit {your} list to twenty books', 'choosing stays easy'],
          ['note who recommended each book', 'the reason is not forgotten'],
          ['mark the three books to read next', 'there is no long search'],
          ['drop the books that lost their pull', 'the list stays alive'],
        ],
      },
      {
        goals: ['read more books', 'read more often'],
        tips: [
          ['read ten pages before sleep', 'a book is done each month'],
          ['carry a book in the bag', 'waiting turns into reading'],
          ['leave the phone in another room', 'the story has no rival'],
          ['stop reading a book that bores', 'the joy stays'],
        ],
      },
    ],
  },
  {
    name: 'book notes',
    notes: ['Book Notes', 'Quote Box'],
    snippets: [
      ['dataview', 'TABLE author FROM #book WHERE rating > 3', 'show the books with a high rating'],
      ['sh', 'grep -h quote Books/*.md', 'collect all quotes'],
    ],
    aspects: [
      {
        goals: ['take notes on books', 'write better book notes'],
        tips: [
          ['mark while reading and write later', 'the reading is not broken'],
          ['write each idea in own words', 'it will last'],
          ['limit {your} notes to one page', 'they get read again'],
          ['end with one thing to try', 'the book changes something'],
        ],
      },
      {
        goals: ['remember what I read', 'keep more from each book'],
        tips: [
          ['tell someone about the chapter', 'the memory gets firm'],
          ['look at the notes after a month', 'the main point comes back'],
          ['link the book to an older note', 'ideas hold each other'],
          ['guess the content before reading on', 'the mind pays attention'],
        ],
      },
    ],
  },
  {
    name: 'journal',
    notes: ['Evening Journal', 'Mood Log'],
    snippets: [
      ['dataview', 'TABLE mood FROM "Journal"', 'show the mood of each day'],
      ['python', 'sum(moods) / len(moods)', 'find the mean mood'],
    ],
    aspects: [
      {
        goals: ['keep a journal', 'start writing a journal'],
        tips: [
          ['write at the same hour each day', 'the pen starts by itself'],
          ['answer one small question', 'the page is not scary'],
          ['keep {your} journal private', 'honest words come easily'],
          ['stop after ten minutes', 'the habit stays light'],
        ],
      },
      {
        goals: ['track my mood', 'understand my moods'],
        tips: [
          ['give each day a number from one to five', 'a pattern can appear'],
          ['note the sleep next to the mood', 'the link is visible'],
          ['write down one good thing', 'bad days get some light'],
          ['look at the month as a whole', 'single days lose weight'],
        ],
      },
    ],
  },
  {
    name: 'blog',
    notes: ['Draft Box', 'Blog Plan'],
    snippets: [
      ['sh', 'wc -w Drafts/*.md', 'count the words of each draft'],
      ['dataview', 'LIST FROM #draft SORT file.mtime', 'list the oldest drafts first'],
    ],
    aspects: [
      {
        goals: ['write a blog post', 'finish a blog post'],
        tips: [
          ['write the first draft without stopping', 'the voice stays natural'],
          ['make one point per post', 'the reader remembers it'],
          ['sleep a night before editing', 'weak lines stand out'],
          ['read {your} text aloud', 'long sentences get short'],
        ],
      },
      {
        goals: ['find ideas for my blog', 'choose a subject to write about'],
        tips: [
          ['collect questions from readers', 'the subject is wanted'],
          ['turn a daily note into a post', 'half the work is done'],
          ['write about a recent mistake', 'others can learn from it'],
          ['keep a list of ten titles', 'a dry week is no problem'],
        ],
      },
    ],
  },
];
