/**
 * Base58btc, the text form of libp2p peer ids: base 58 big-endian digits, one leading `1` for each leading zero byte.
 * Quadratic in length, so callers bound the length first.
 */
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const DIGIT_OF: ReadonlyMap<string, number> = new Map(ALPHABET.split('').map((letter, digit) => [letter, digit]));

/** The base58btc text of bytes, a `1` for every zero byte at the beginning. */
export function encodeBase58(bytes: Uint8Array): string {
  return convert(bytes, 256, 58)
    .map((digit) => ALPHABET[digit])
    .join('');
}

/** The bytes of a base58btc text, or undefined when a character is not of the alphabet. */
export function decodeBase58(text: string): Uint8Array | undefined {
  const digits: number[] = [];
  for (const letter of text) {
    const digit = DIGIT_OF.get(letter);
    if (digit === undefined) return undefined;
    digits.push(digit);
  }
  return Uint8Array.from(convert(digits, 58, 256));
}

/** Big-endian digits from one base to another; leading zeros are kept one for one. */
function convert(digits: Iterable<number>, from: number, to: number): number[] {
  const littleEndian: number[] = [];
  let leadingZeros = 0;
  let onlyZeros = true;
  for (const digit of digits) {
    if (onlyZeros && digit === 0) leadingZeros += 1;
    else onlyZeros = false;
    let carry = digit;
    for (let i = 0; i < littleEndian.length; i++) {
      carry += littleEndian[i]! * from;
      littleEndian[i] = carry % to;
      carry = Math.floor(carry / to);
    }
    for (; carry > 0; carry = Math.floor(carry / to)) littleEndian.push(carry % to);
  }
  return [...Array.from({ length: leadingZeros }, () => 0), ...littleEndian.reverse()];
}
