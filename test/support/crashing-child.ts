/** A process that ends before it has said anything of the file that it was given: as the path says, or natively. */
import process from 'node:process';

const path = process.argv[2];
if (path === 'throws') throw new Error('as the test wants it; not printed to anyone');
process.kill(process.pid, path === 'killed' ? 'SIGKILL' : 'SIGSEGV');
