export { convert, unitsOf } from './convert.js';
export { formatQty, parseQty } from './quantity.js';
export { scale, shoppingList } from './recipe.js';
