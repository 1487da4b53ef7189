/**
 * Distinct-2: of all neighbouring word pairs in a set of answers, the share that are different from one another.
 * 1 is no repetition at all; a model that has collapsed into a phrase comes near 0. Word pairs do not cross answers,
 * words are what whitespace separates, and case counts as the same.
 *
 * After Li et al. 2016, "A diversity-promoting objective function for neural conversation models", section 5.3, with
 * the number of word pairs as divisor. Depends on how much text there is: compare sets of like size only.
 *
 * @returns in [0, 1]; null when no answer has two words
 */
export function distinct2(answers: readonly string[]): number | null {
  const seen = new Set<string>();
  let total = 0;
  for (const answer of answers) {
    const words = answer.toLowerCase().split(/\s+/).filter(Boolean);
    for (let index = 1; index < words.length; index++) {
      seen.add(`${words[index - 1]} ${words[index]}`);
      total++;
    }
  }
  return total === 0 ? null : seen.size / total;
}
