import assert from 'node:assert/strict';
import { test } from 'node:test';
import { convert, formatQty, parseQty, shoppingList } from '../src/index.js';

test('a quantity is written as it was read', () => {
  assert.equal(formatQty(parseQty('2.5 kg')), '2.5 kg');
});

test('what is no quantity is refused', () => {
  assert.throws(() => parseQty('some salt'), TypeError);
});

test('grams do not become cups', () => {
  assert.throws(() => convert(parseQty('1 g'), 'cup'), /cannot become/);
});

test('what cannot be added up is refused', () => {
  assert.throws(() => shoppingList([{ milk: '1 cup' }, { milk: '100 g' }]), /do not add up/);
});
