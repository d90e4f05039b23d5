/**
 * Reads a quantity from text. Fractions and mixed numbers are understood.
 *
 * @param {string} text an amount, then a unit
 * @returns {{ amount: number, unit: string }}
 * @example
 * parseQty('1 1/2 cup') // => { amount: 1.5, unit: 'cup' }
 * @example
 * parseQty('250 g') // => { amount: 250, unit: 'g' }
 */
export function parseQty(text) {
  const found = /^\s*(?:(\d+)\s+)?(\d+)\/(\d+)\s*([a-z]*)\s*$/i.exec(text);
  if (found !== null) {
    const [, whole = '0', over, under, unit] = found;
    return { amount: Number(whole) + Number(over) / Number(under), unit: unit || 'piece' };
  }
  const plain = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  if (plain === null) throw new TypeError(`parseQty cannot read "${text}"`);
  return { amount: Number(plain[1]), unit: plain[2] || 'piece' };
}

/**
 * Writes a quantity as text, with at most two decimals.
 *
 * @param {{ amount: number, unit: string }} quantity
 * @returns {string}
 * @example
 * formatQty({ amount: 1.5, unit: 'cup' }) // => '1.5 cup'
 */
export function formatQty({ amount, unit }) {
  return `${Math.round(amount * 100) / 100} ${unit}`;
}
