import type { Topic } from './topic.ts';

/** At work. */
export const workTopics: readonly Topic[] = [
  {
    name: 'meeting notes',
    notes: ['Meeting Log', 'Team Notes'],
    snippets: [
      ['dataview', 'TASK FROM #meeting WHERE !completed', 'find the open tasks of all meetings'],
      ['sh', 'grep -l decision Meetings/*.md', 'find the meetings with a decision'],
    ],
    aspects: [
      {
        goals: ['take meeting notes', 'write better meeting notes'],
        tips: [
          ['write down decisions and not talk', 'the note stays short'],
          ['put a name next to each task', 'it is clear who acts'],
          ['send {your} note on the same day', 'errors are corrected early'],
          ['start from a fixed template', 'nothing important is missing'],
        ],
      },
      {
        goals: ['run a shorter meeting', 'lead a team meeting'],
        tips: [
          ['send three questions in advance', 'everyone comes prepared'],
          ['begin with the hardest point', 'there is time for it'],
          ['end five minutes early', 'people can breathe'],
          ['invite only those who decide', 'the talk stays short'],
        ],
      },
    ],
  },
  {
    name: 'project planning',
    notes: ['Project Board', 'Project Risks'],
    snippets: [
      ['dataview', 'TABLE due FROM #project SORT due', 'sort the projects by date'],
      ['js', 'tasks.filter(t => !t.done).length', 'count the open tasks'],
    ],
    aspects: [
      {
        goals: ['plan a small project', 'start a new project'],
        tips: [
          ['write the goal in one sentence', 'everyone means the same thing'],
          ['cut the work into tasks of one day', 'progress is easy to see'],
          ['begin with the part that is least known', 'surprises come early'],
          ['name what is not part of {your} project', 'it will not grow without end'],
        ],
      },
      {
        goals: ['keep a project on time', 'stop my project from running late'],
        tips: [
          ['check the open tasks every Friday', 'a delay is seen early'],
          ['leave one free day per week', 'there is room for trouble'],
          ['finish one task before the next', 'half work does not pile up'],
          ['tell the team about a delay at once', 'others can adjust'],
        ],
      },
    ],
  },
  {
    name: 'email',
    notes: ['Mail Rules', 'Reply Drafts'],
    snippets: [
      ['js', 'mails.filter(m => m.unread)', 'show the unread mails'],
      ['dataview', 'TASK WHERE contains(text, "reply")', 'find the replies still to write'],
    ],
    aspects: [
      {
        goals: ['empty my inbox', 'get my email under control'],
        tips: [
          ['read {your} mail twice a day', 'the rest of the day is quiet'],
          ['answer at once if it takes two minutes', 'small mails do not pile up'],
          ['move tasks from mail into a note', 'the inbox is not a list of tasks'],
          ['leave the lists that nobody reads', 'less mail comes in'],
        ],
      },
      {
        goals: ['write clear emails', 'get faster replies to my emails'],
        tips: [
          ['put the question in the first line', 'nobody has to search for it'],
          ['ask for one thing per mail', 'the reply is short'],
          ['name the day when it is needed', 'the reader can plan'],
          ['read the mail aloud before sending', 'the tone is right'],
        ],
      },
    ],
  },
  {
    name: 'code review',
    notes: ['Review Rules', 'Code Diary'],
    snippets: [
      ['sh', 'git diff main --stat', 'see how large a change is'],
      ['sh', 'git log --since=monday', 'show the work of this week'],
    ],
    aspects: [
      {
        goals: ['review code', 'give a useful code review'],
        tips: [
          ['read the tests before the code', 'the aim of the change is clear'],
          ['ask a question and give no order', 'the author stays open'],
          ['keep each review under an hour', 'the eyes stay sharp'],
          ['praise one good line', 'the talk stays friendly'],
        ],
      },
      {
        goals: ['keep a work log', 'write down what I did at work'],
        tips: [
          ['write two lines before lunch', 'the morning is not forgotten'],
          ['note each decision with its reason', 'later doubts are short'],
          ['link {your} log to the tickets', 'details are one click away'],
          ['sum up the week on Friday', 'the yearly talk is easy'],
        ],
      },
    ],
  },
];
