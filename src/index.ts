/** The public API of the package. */
export * from './base/errors.js';
export type * from './store/api/bucket.js';
export type * from './store/api/call-options.js';
export type * from './store/api/open-options.js';
export type * from './store/api/properties.js';
export type * from './store/api/results.js';
export type * from './store/api/status.js';
export type * from './store/api/store.js';
export { attach } from './store/attach.js';
export { open } from './store/open.js';
