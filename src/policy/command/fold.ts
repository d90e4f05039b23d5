/**
 * Text as a person would read it. What is drawn like `rm -rf` but is other characters (look-alike letters, zero-width
 * characters, controls of direction) is named, and the folded form is what rules are matched on as well.
 */

/** Letters of other scripts that are drawn like a Latin one. NFKC takes care of fullwidth and styled letters. */
const lookAlikes: Readonly<Record<string, string>> = Object.fromEntries(
  [
    // Cyrillic
    ['авсԁеһіјкӏмпорԛгѕтуѵхԝѐёїАВСЕНІЈКМОРЅТХУЗԌԜ', 'abcdehijklmnopqrstyvxweeiABCEHIJKMOPSTXY3GW'],
    // Greek
    ['αεικνορτυχγηωΑΒΕΖΗΙΚΜΝΟΡΤΥΧϲϳ', 'aeikvoptuxynwABEZHIKMNOPTYXcj'],
    // Armenian, Cherokee, Lisu, Latin letters that are drawn like others, and numerals
    ['ոսօցհաքզᏒᎡꓣɑɡıℓ', 'nuoghwpqRRRagil'],
  ].flatMap(([from = '', to = '']) =>
    Array.from(from).map((letter, index) => [letter, Array.from(to)[index] ?? letter]),
  ),
);

const zeroWidth =
  '\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0';
const direction = '\u202a-\u202e\u2066-\u2069';
const variation = '\ufe00-\ufe0f\u{e0100}-\u{e01ef}\u{e0000}-\u{e007f}';
// oxlint-disable-next-line no-control-regex
const control = /[\0-\x08\x0b-\x1f\x7f\x80-\x9f]/;
const invisible = new RegExp(`[${zeroWidth}${direction}${variation}]`, 'gu');
/** A joiner or a variation selector after an emoji is how emoji are written. */
const emoji = /[\p{Extended_Pictographic}\p{Emoji_Modifier}](?:\u200d|\ufe0f|[\u{e0020}-\u{e007f}])+/gu;
/** A run of letters and digits, to see whether it mixes scripts. */
const run = /[\p{L}\p{N}_]+/gu;
/** What needs no second look. */
const plain = /^[\t\n\x20-\x7e]*$/;

export interface Folded {
  readonly text: string;
  /** What was found, in words; empty: nothing. */
  readonly suspicious: readonly string[];
}

function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** Folds a text and names what was hidden in it. */
export function fold(text: string): Folded {
  if (plain.test(text)) return { text, suspicious: [] };
  const suspicious = new Set<string>();
  const odd = control.exec(text);
  if (odd !== null) suspicious.add(`control character ${codePoint(odd[0])}`);
  for (const [character] of text.replaceAll(emoji, '').matchAll(invisible)) {
    const kind = new RegExp(`[${direction}]`, 'u').test(character) ? 'control of direction' : 'invisible character';
    suspicious.add(`${kind} ${codePoint(character)}`);
    if (suspicious.size > 8) break;
  }
  const seen = text
    .replaceAll(invisible, '')
    .normalize('NFKC')
    .replaceAll(/[\u2010-\u2015\u2212]/g, '-');
  const letters = seen.replaceAll(run, (word) => {
    if (plain.test(word)) return word;
    const drawn = Array.from(word)
      .map((letter) => lookAlikes[letter] ?? letter)
      .join('');
    // A word of another script is left alone unless all of it can be read as Latin.
    if (!plain.test(drawn) && !/[a-z]/i.test(word)) return word;
    const found = Array.from(word).find((letter) => letter in lookAlikes);
    if (found !== undefined && /[a-z]/i.test(word)) {
      suspicious.add(`look-alike letter ${codePoint(found)} (drawn like "${lookAlikes[found] ?? ''}")`);
    }
    return drawn;
  });
  return { text: letters, suspicious: [...suspicious] };
}

/** The name of a program has no reason to hold anything but ASCII. */
export function oddName(name: string): string | null {
  if (plain.test(name)) return null;
  const found = Array.from(name).find((character) => !plain.test(character)) ?? '';
  return `the name of the program holds ${codePoint(found)}`;
}
