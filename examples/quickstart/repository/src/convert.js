const millilitres = { ml: 1, l: 1000, tsp: 5, tbsp: 15, cup: 240 };
const grams = { g: 1, kg: 1000, oz: 28.35, lb: 453.6 };

/**
 * Converts a quantity to another unit of the same kind.
 *
 * @param {{ amount: number, unit: string }} quantity
 * @param {string} unit the wanted unit
 * @returns {{ amount: number, unit: string }}
 * @example
 * convert({ amount: 2, unit: 'cup' }, 'ml') // => { amount: 480, unit: 'ml' }
 * @example
 * convert({ amount: 500, unit: 'g' }, 'kg') // => { amount: 0.5, unit: 'kg' }
 */
export function convert({ amount, unit: from }, unit) {
  const table = [millilitres, grams].find((one) => from in one && unit in one);
  if (table === undefined) throw new TypeError(`${from} cannot become ${unit}`);
  return { amount: (amount * table[from]) / table[unit], unit };
}

/**
 * The units into which a unit can be converted, itself included.
 *
 * @param {string} unit
 * @returns {string[]}
 * @example
 * unitsOf('g') // => ['g', 'kg', 'oz', 'lb']
 */
export function unitsOf(unit) {
  return Object.keys([millilitres, grams].find((table) => unit in table) ?? {});
}
