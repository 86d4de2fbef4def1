/** The entry of a node whose disk has no room: its start fails as that of a real one does there. */
import { StorageFullError } from '../../src/base/errors.js';
import { runWorkerThread } from '../../src/runtime/threads/worker-thread.js';

await runWorkerThread(() => {
  throw new StorageFullError('objects.mdb could not be opened: the disk is full: free some space', { definite: true });
});
