import { convert, unitsOf } from './convert.js';
import { formatQty, parseQty } from './quantity.js';

/**
 * A recipe for more or fewer people.
 *
 * @param {Record<string, string>} recipe ingredients with their quantities
 * @param {number} factor
 * @returns {Record<string, string>}
 * @example
 * scale({ flour: '250 g', milk: '1/2 cup' }, 2) // => { flour: '500 g', milk: '1 cup' }
 */
export function scale(recipe, factor) {
  const scaled = Object.entries(recipe).map(([name, text]) => {
    const { amount, unit } = parseQty(text);
    return [name, formatQty({ amount: amount * factor, unit })];
  });
  return Object.fromEntries(scaled);
}

/**
 * What to buy for several recipes: the same ingredients are added up, in the unit of the first.
 *
 * @param {Record<string, string>[]} recipes
 * @returns {string[]} sorted by name
 * @example
 * shoppingList([{ milk: '1 cup' }, { milk: '120 ml', eggs: '2' }]) // => ['eggs: 2 piece', 'milk: 1.5 cup']
 */
export function shoppingList(recipes) {
  const total = new Map();
  for (const [name, text] of recipes.flatMap((recipe) => Object.entries(recipe))) {
    const next = parseQty(text);
    const before = total.get(name) ?? { amount: 0, unit: next.unit };
    const same = unitsOf(before.unit).includes(next.unit) ? convert(next, before.unit) : next;
    if (same.unit !== before.unit) throw new TypeError(`${name}: ${next.unit} and ${before.unit} do not add up`);
    total.set(name, { amount: before.amount + same.amount, unit: before.unit });
  }
  return [...total].map(([name, quantity]) => `${name}: ${formatQty(quantity)}`).sort();
}
