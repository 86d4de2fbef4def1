/** Entry of the worker threads of the runtime's conformance stories. */
import { runWorkerThread } from '../../src/runtime/threads/worker-thread.js';
import { setUpConformanceThread, type ThreadPlan } from './conformance-actors.js';

await runWorkerThread<ThreadPlan>(({ host, data }) => {
  setUpConformanceThread(host, data);
  return {};
});
