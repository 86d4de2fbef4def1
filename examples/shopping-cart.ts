/**
 * A shopping cart, the example of the Dynamo paper (§4.4): an added item is never lost, whatever happens at the same
 * time and whichever node is down. Carts that were changed side by side come back together, and a merge function makes
 * one of them. What that costs is shown, too: an item that was taken out may come back.
 *
 *     node dist/examples/shopping-cart.js
 */
import { strict as assert } from 'node:assert';
import { open, type Sibling } from 'quoral';

/** How many of each article. */
type Cart = Readonly<Record<string, number>>;

/** Everything that is in one of the carts, in the largest number: nothing that was added is missing. */
function mergeCarts(carts: readonly Sibling<Cart>[]): Cart {
  const merged: Record<string, number> = {};
  for (const { value: cart } of carts) {
    for (const [article, count] of Object.entries(cart)) merged[article] = Math.max(merged[article] ?? 0, count);
  }
  return merged;
}

const add = (article: string) => (cart: Cart | undefined) => ({ ...cart, [article]: (cart?.[article] ?? 0) + 1 });

await using store = await open({ nodes: 3 });
const carts = store.bucket<Cart>('carts', { codec: 'json', resolution: 'merge', merge: mergeCarts });

// One customer, one browser tab: `update` reads the cart, and puts it back with what the read saw.
await carts.update('alice', add('milk'));
await carts.update('alice', add('bread'));
assert.deepEqual((await carts.get('alice')).value, { milk: 1, bread: 1 });

// Two tabs have read the same cart, and each puts back what it made of it. Neither put knows of the other.
const seen = await carts.get('alice');
await carts.put('alice', { ...seen.value, eggs: 6 }, { causalContext: seen.causalContext });
await carts.put('alice', { ...seen.value, butter: 1 }, { causalContext: seen.causalContext });
const both = await carts.get('alice');
console.log(`${both.siblings.length} carts of alice, merged:`, both.value);
assert.equal(both.siblings.length, 2);
assert.deepEqual(both.value, { milk: 1, bread: 1, eggs: 6, butter: 1 });

// The next update writes the merged cart back, in the place of both.
await carts.update('alice', add('tea'));
const one = await carts.get('alice');
assert.equal(one.siblings.length, 1);
assert.deepEqual(one.value, { milk: 1, bread: 1, eggs: 6, butter: 1, tea: 1 });

// A node is down; the customer does not notice, and what it missed is brought to it when the cart is read again.
await store.admin.stop('b');
await carts.update('alice', add('honey'));
await store.admin.start('b');
assert.equal((await carts.get('alice')).value?.honey, 1);
console.log('with a node down, the honey was added all the same');

// The price of never losing an item: one tab takes the milk out while another, which still has it, adds sugar.
const last = await carts.get('alice');
const { milk: _, ...withoutMilk } = last.value ?? {};
await carts.put('alice', withoutMilk, { causalContext: last.causalContext });
await carts.put('alice', { ...last.value, sugar: 1 }, { causalContext: last.causalContext });
const after = await carts.get('alice');
assert.equal(after.value?.sugar, 1);
assert.equal(after.value?.milk, 1, 'the milk came back: a cart without it is not told from one that never had it');
console.log('the milk that one tab took out is back: the merge keeps what any cart has');
