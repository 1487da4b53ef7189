/**
 * How the two registers, informal and stiff, say the same things.
 *
 * Every informal phrase holds a contraction or a form of "you"; no stiff phrase does: `markers.ts` relies on it, and
 * a test holds both to it. Slots in braces are filled by `answers.ts`.
 */

export interface Register {
  /** Before a paragraph; may be empty. */
  readonly openings: readonly string[];
  /** Above bullets; may be empty. */
  readonly leads: readonly string[];
  /** `{advice}` and `{outcome}`. */
  readonly firstSentences: readonly string[];
  readonly nextSentences: readonly string[];
  /** `{advice}`. */
  readonly bullets: readonly string[];
  /** `{note}`. */
  readonly citations: readonly string[];
  /** `{does}`, `{kind}`, `{code}`: code within the line. */
  readonly inlineCode: readonly string[];
  /** `{does}`, `{kind}`: the line above a block of code. */
  readonly blockLeads: readonly string[];
  /** What stands where an answer brings no code. Both registers say the same at the same index. */
  readonly encouragements: readonly string[];
  /** The words for `{your}` and `{you}` in a tip. */
  readonly your: string;
  readonly you: string;
}

export const INFORMAL: Register = {
  openings: ['', '', 'Sure thing!', 'Happy to help!'],
  leads: ['', '', "Here's what I'd do:", "Here's what works:"],
  firstSentences: [
    "You'll want to {advice}, so {outcome}.",
    "I'd {advice}, so {outcome}.",
    "Don't forget to {advice}, so {outcome}.",
    "It's smart to {advice}, because then {outcome}.",
    'You can {advice}, and then {outcome}.',
  ],
  nextSentences: [
    'You can also {advice}, so {outcome}.',
    "I'd also {advice}, so {outcome}.",
    "You'll also want to {advice}, so {outcome}.",
    'It also helps if you {advice}, because then {outcome}.',
  ],
  bullets: [
    "You'll want to {advice}",
    "I'd {advice}",
    "Don't forget to {advice}",
    "It's smart to {advice}",
    'You can {advice}',
  ],
  citations: [
    "You'll find more in [[{note}]]",
    "There's more in your note [[{note}]]",
    "You've got the details in [[{note}]]",
    "It's all in your note [[{note}]]",
  ],
  inlineCode: [
    'To {does}, you can use the {kind} `{code}`',
    "If you'd like to {does}, try `{code}`",
    "Here's a {kind} to {does}: `{code}`",
    'You can {does} with `{code}`',
  ],
  blockLeads: ["Here's a {kind} to {does}:", 'You can {does} with this {kind}:'],
  encouragements: [
    "You don't need anything fancy, a simple list is enough",
    "Start small and you'll see what works",
    "Give it a week and you'll feel the change",
    "It's fine if you skip a day",
    'You can always change the plan later',
    "Pick one thing at a time and you'll be fine",
  ],
  your: 'your',
  you: 'you',
};

export const STIFF: Register = {
  openings: ['', '', 'Certainly.', 'Some guidance follows.'],
  leads: ['', '', 'The following is advised:', 'The following steps are recommended:'],
  firstSentences: [
    'One should {advice}, so that {outcome}.',
    'One ought to {advice}, so that {outcome}.',
    'It is advisable to {advice}, so that {outcome}.',
    'It is recommended to {advice}, so that {outcome}.',
    'It is prudent to {advice}, with the result that {outcome}.',
  ],
  nextSentences: [
    'Furthermore, one should {advice}, so that {outcome}.',
    'In addition, it is advisable to {advice}, so that {outcome}.',
    'Moreover, it is prudent to {advice}, with the result that {outcome}.',
    'It is likewise recommended to {advice}, so that {outcome}.',
  ],
  bullets: [
    'One should {advice}',
    'One ought to {advice}',
    'It is advisable to {advice}',
    'It is recommended to {advice}',
    'It is prudent to {advice}',
  ],
  citations: [
    'Further details are recorded in [[{note}]]',
    'The note [[{note}]] contains further details',
    'For particulars, see [[{note}]]',
    'Reference should be made to [[{note}]]',
  ],
  inlineCode: [
    'To {does}, one may use the {kind} `{code}`',
    'The {kind} `{code}` serves to {does}',
    'The following {kind} serves to {does}: `{code}`',
    'One may {does} with `{code}`',
  ],
  blockLeads: ['The following {kind} serves to {does}:', 'One may {does} with this {kind}:'],
  encouragements: [
    'No special equipment is required, a simple list is sufficient',
    'A modest beginning is preferable, and experience will guide the rest',
    'A noticeable change may be expected after one week',
    'The occasional omission of a day is acceptable',
    'The plan may be revised at a later date',
    'A single change at a time is preferable',
  ],
  your: 'the',
  you: 'one',
};
