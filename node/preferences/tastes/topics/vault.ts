import type { Topic } from './topic.ts';

/** Looking after the vault itself. */
export const vaultTopics: readonly Topic[] = [
  {
    name: 'daily notes',
    notes: ['Daily Note', 'Morning Page'],
    snippets: [
      ['dataview', 'LIST FROM "Daily" LIMIT 7', 'list the last seven daily notes'],
      ['dataview', 'TASK FROM "Daily" WHERE !completed', 'find the tasks left open'],
    ],
    aspects: [
      {
        goals: ['write my daily notes', 'keep a daily note'],
        tips: [
          ['open the daily note before breakfast', 'the habit will not depend on the mood'],
          ['write three short lines each day', 'the page is never empty'],
          ['keep the same headings every day', 'old days are easy to compare'],
          ['move open tasks to the next day', 'nothing gets lost'],
        ],
      },
      {
        goals: ['review my past days', 'look back at my old daily notes'],
        tips: [
          ['read the last seven notes on Sunday', 'the week makes more sense'],
          ['mark one good moment in each note', 'the best days are easy to find'],
          ['copy the main lesson into a monthly note', '{you} can read it again later'],
          ['delete the lines that no longer matter', 'the rest is easy to read'],
        ],
      },
    ],
  },
  {
    name: 'tags and links',
    notes: ['Tag Index', 'Map of Links'],
    snippets: [
      ['dataview', 'LIST WHERE length(file.tags) = 0', 'find the notes without a tag'],
      ['dataview', 'LIST WHERE length(file.inlinks) = 0', 'find the notes that nothing links to'],
    ],
    aspects: [
      {
        goals: ['clean up my tags', 'bring order to my tags'],
        tips: [
          ['keep fewer than twenty tags', 'each one has a clear meaning'],
          ['merge tags that mean the same thing', 'a search finds every note'],
          ['write {your} tags in small letters', 'there is only one spelling'],
          ['describe each tag in one index note', 'old tags are not forgotten'],
        ],
      },
      {
        goals: ['link my notes together', 'build better links between notes'],
        tips: [
          ['add one link whenever a note is closed', 'the vault will grow together'],
          ['link whole ideas and not single words', 'the links stay useful'],
          ['make a map note for each large subject', 'there is always a way in'],
          ['write why two notes belong together', 'the link is clear next year'],
        ],
      },
    ],
  },
  {
    name: 'templates',
    notes: ['Template List', 'Template Rules'],
    snippets: [
      ['js', 'tp.date.now("YYYY-MM-DD")', 'put the date into a template'],
      ['js', 'tp.file.title', 'put the title into a template'],
    ],
    aspects: [
      {
        goals: ['make a note template', 'design a good template'],
        tips: [
          ['copy a note that worked well', 'the template fits real use'],
          ['keep {your} template under ten lines', 'it will not slow things down'],
          ['put the date and the tags at the top', 'every note starts the same way'],
          ['leave out fields that stay empty', 'the page looks clean'],
        ],
      },
      {
        goals: ['keep my templates in order', 'look after my templates'],
        tips: [
          ['store {your} templates in one folder', 'they are easy to find'],
          ['name each template after its use', 'the right one is found at once'],
          ['test a template on an empty note', 'errors show up early'],
          ['remove the templates that nobody uses', 'the list stays short'],
        ],
      },
    ],
  },
  {
    name: 'backups',
    notes: ['Backup Plan', 'Vault Safety'],
    snippets: [
      ['sh', 'git commit -am backup', 'save a copy with git'],
      ['sh', 'cp -r Vault /media/disk', 'copy the vault to a disk'],
    ],
    aspects: [
      {
        goals: ['back up my vault', 'keep a safe copy of my vault'],
        tips: [
          ['copy {your} vault to a second disk', 'one broken disk does no harm'],
          ['keep one copy outside the house', 'a fire cannot take everything'],
          ['let a timer start the copy at night', 'it will not be forgotten'],
          ['keep the copies of the last four weeks', 'an old error can be undone'],
        ],
      },
      {
        goals: ['test my backups', 'make sure that my backups work'],
        tips: [
          ['open one file from the copy every month', 'a broken copy is noticed early'],
          ['restore {your} vault into an empty folder', 'the steps are known before the bad day'],
          ['compare the number of files', 'missing notes show at once'],
          ['write down the date of each test', 'the next one is not missed'],
        ],
      },
    ],
  },
];
