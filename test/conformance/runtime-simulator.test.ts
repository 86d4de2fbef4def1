/** Holds the simulator to the contract of the runtime, under several seeds. */
import { Simulator } from '../../src/runtime/simulator/simulator.js';
import { simulatedRuntime } from '../support/simulated-runtime.js';
import { runtimeConformance } from './runtime.js';

for (const seed of [1, 2, 3]) runtimeConformance(`simulator, seed ${seed}`, simulatedRuntime(Simulator, seed));
