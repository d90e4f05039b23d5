const mostNames = 10_000;
const mostPlaces = 8;

/** From where users have logged in since the server started: the last few addresses of each name. */
export class Familiar {
  readonly #places = new Map<string, readonly string[]>();

  knows(name: string, place: string): boolean {
    return this.#places.get(name)?.includes(place) === true;
  }

  remember(name: string, place: string): void {
    const others = (this.#places.get(name) ?? []).filter((other) => other !== place);
    this.#places.delete(name);
    this.#places.set(name, [...others, place].slice(-mostPlaces));
    const [oldest] = this.#places.keys();
    if (this.#places.size > mostNames && oldest !== undefined) this.#places.delete(oldest);
  }
}
