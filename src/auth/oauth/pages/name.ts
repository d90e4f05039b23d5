/**
 * Shows a name that a stranger chose. Whoever registers a client calls it as they like, so a name may try to look like another
 * one, to hide a part of itself, or to speak in our voice.
 *
 * N1  Every character is seen: what is invisible, turns the direction of writing round or breaks the line is shown by its number.
 * N2  Signs that could be taken for ours (ticks, locks, emoji) are left out, and so are piled-up accents.
 * N3  Letters that look like those of another alphabet are named.
 */
import { type Html, html, nothing } from './html.ts';

const longest = 48;

/** Takes no room, turns the direction of writing, breaks the line, or is not (yet) a character. */
const unseen = /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}]/u;
/** What a page says with signs of its own; with what makes one emoji of several. */
const signs = /[\p{So}\p{Extended_Pictographic}](?:\u200d|\ufe0f|\u20e3|\p{Emoji_Modifier})*/gu;
const accents = /(\p{M}{2})\p{M}+/gu;

/** Alphabets with letters that look like Latin ones. */
const alphabets = ['Cyrillic', 'Greek', 'Armenian', 'Cherokee', 'Coptic', 'Lisu', 'Georgian', 'Deseret'] as const;
const letters: readonly (readonly [string, RegExp])[] = alphabets.map((name) => [
  name,
  new RegExp(`\\p{Script=${name}}`, 'u'),
]);
const latin = /\p{Script=Latin}/u;
/** Letters of other alphabets that nobody can tell from Latin ones: a word of nothing else is one in disguise. */
const twins = /^[аеорсухіјѕһԁԛԝӏАВЕКМНОРСТУХІЈЅԌԚԜαικνορυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧօսոհցԱՏՕ]+$/u;

/** A name as it can be shown, and what is odd about it, for a person to weigh; null: nothing. */
export interface ShownName {
  readonly shown: Html;
  /** The same in plain text, for a title. */
  readonly plain: string;
  readonly odd: string | null;
}

/** See the head of this file. */
export function showName(given: string): ShownName {
  const name = given
    .normalize('NFC')
    .replaceAll(signs, '')
    .replaceAll(accents, '$1')
    .replaceAll(/[\t\n\r\p{Zs}]+/gu, ' ');
  const characters = Array.from(name.trim());
  const kept = characters.slice(0, longest);
  const rest = characters.length > longest ? '…' : '';
  if (kept.length === 0) return { shown: html`an app without a name`, plain: 'an app without a name', odd: null };
  const shown = kept.map((letter) =>
    unseen.test(letter) ? html`<span class="odd">${number(letter)}</span>` : html`${letter}`,
  );
  const plain = kept.map((letter) => (unseen.test(letter) ? `[${number(letter)}]` : letter)).join('');
  return { shown: html`<bdi>${shown}${rest}</bdi>`, plain: `${plain}${rest}`, odd: oddness(name) };
}

/** A place on the network as it is: letters, digits and the few signs that a host has. */
export function showHost(host: string): Html {
  const kept = Array.from(host.slice(0, 120)).map((letter) =>
    /[\x21-\x7e]/.test(letter) ? html`${letter}` : html`<span class="odd">${number(letter)}</span>`,
  );
  return html`<bdi class="host">${kept}</bdi>`;
}

/** The host of an address of the web; null for any other. Foreign letters are in it as `xn--…`. */
export function hostOf(uri: string | null): string | null {
  if (uri === null || !URL.canParse(uri)) return null;
  const { protocol, host } = new URL(uri);
  return protocol === 'https:' || protocol === 'http:' ? host : null;
}

/** Says what is odd, below a name. */
export function noteOf({ odd }: ShownName): Html {
  return odd === null ? nothing : html`<p class="note">${odd}</p>`;
}

/** All that is odd about a name, in sentences. */
function oddness(name: string): string | null {
  const hidden = Array.from(name).some((letter) => unseen.test(letter));
  const said = [
    hidden ? 'The name has characters that cannot be seen; they are shown by their numbers.' : null,
    disguise(name),
  ].filter((sentence) => sentence !== null);
  return said.length === 0 ? null : said.join(' ');
}

function disguise(name: string): string | null {
  for (const word of name.split(/[^\p{L}\p{M}\p{N}]+/u)) {
    const [alphabet] = letters.find(([, script]) => script.test(word)) ?? [];
    if (alphabet === undefined || !(latin.test(word) || twins.test(word))) continue;
    const foreign = Array.from(word).filter((letter) => !latin.test(letter) && /\p{L}/u.test(letter));
    return `The name is partly written in ${alphabet}, whose letters can be taken for Latin ones: ${listed(foreign)}.`;
  }
  return name.normalize('NFKC') === name ? null : 'The name is written with letters that only look like ordinary ones.';
}

function listed(items: readonly string[]): string {
  return [...new Set(items)]
    .slice(0, 5)
    .map((letter) => `“${letter}”`)
    .join(', ');
}

function number(letter: string): string {
  return `U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
