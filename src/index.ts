/** The public API of the package. */
export * from './base/errors.js';
export type * from './store/api.js';
export { attach } from './store/attach.js';
export { open } from './store/open.js';
