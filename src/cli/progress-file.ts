/** How far a long command has come, in a small file that is there whole or not at all. */
import { open, readFile, rename } from 'node:fs/promises';

/** What was written last; undefined if there is nothing, or something damaged: beginning anew is right then, only slower. */
export async function readProgress(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Durable once it resolves, but for the name if the file is new. */
export async function writeProgress(path: string, progress: object): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(`${JSON.stringify(progress)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
