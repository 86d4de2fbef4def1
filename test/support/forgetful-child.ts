/** `node forgetful-child.js DIRECTORY KEYS HOW`: puts keys, and ends without closing the store: by `exit`, or by `itself`. */
import { open } from '../../src/index.js';

const [path, keys, how] = process.argv.slice(2) as [string, string, 'exit' | 'itself'];
const store = await open({ path, nodes: 3, sync: 'none' });
const bucket = store.bucket<string>('b', { codec: 'text' });
await Promise.all(Array.from({ length: Number(keys) }, (_, i) => bucket.put(`k${i}`, how)));
if (how === 'exit') process.exit(0);
