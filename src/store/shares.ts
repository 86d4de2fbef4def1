/**
 * The shares of a store: tickets given out, the threads that have attached with them, and their way out. A share is
 * taken from the moment when its ticket is made, and free again when the ticket's port is closed: by whoever holds it,
 * or because its thread has ended.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { OverloadedError } from '../base/errors.js';
import type { Ring } from '../ring/ring.js';
import { serveControl } from '../runtime/threads/control-plane.js';
import type { Attachment, ThreadGroup } from '../runtime/threads/thread-group.js';
import type { CheckedOptions } from './options.js';
import { type AttachedSays, type Grant, type OpenerControl, type OpenerSays, TICKET } from './ticket.js';

/** When a share may have become free, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

export interface SharesOptions {
  readonly group: ThreadGroup;
  readonly ring: Ring;
  readonly options: CheckedOptions;
  readonly control: OpenerControl;
  readonly gauges: readonly SharedArrayBuffer[];
  readonly isUp: (node: number) => boolean;
}

interface Share {
  readonly port: MessagePort;
  /** Undefined until the ticket is used. */
  attachment: Attachment | undefined;
  readonly ended: Promise<void>;
}

export class Shares {
  private readonly parts: SharesOptions;
  /** By place: the thread of place i is the group's thread `nodes` + 1 + i. */
  private readonly shares: (Share | undefined)[];

  constructor(parts: SharesOptions) {
    this.parts = parts;
    this.shares = new Array<undefined>(parts.options.maxShares).fill(undefined);
  }

  /** A ticket. @throws {OverloadedError} All shares are given out. */
  give(): MessagePort {
    const place = this.shares.indexOf(undefined);
    if (place === -1) {
      const { length } = this.shares;
      const message = `all ${length} shares are given out: close an attached store or a ticket, or open with more maxShares`;
      throw new OverloadedError(message, { definite: true, retryAfterMs: RETRY_AFTER_MS });
    }
    const { port1: port, port2: ticket } = new MessageChannel();
    const { ring, options } = this.parts;
    const grant: Grant = { ticket: TICKET, ring, options };
    port.postMessage(grant);
    const ended = new Promise<void>((resolve) => {
      port.on('close', () => {
        void this.finish(place).then(resolve);
      });
    });
    this.shares[place] = { port, attachment: undefined, ended };
    port.on('message', ({ type }: AttachedSays) => {
      if (type === 'join') this.join(place);
    });
    port.unref();
    return ticket;
  }

  /** Lets the attached threads know that a node is up, or is not. */
  tell(node: number, up: boolean): void {
    for (const share of this.shares) if (share?.attachment !== undefined) say(share, { type: 'node', node, up });
  }

  /**
   * Sees all attached threads out: they finish what they have under way.
   * @param graceMs - how long they may take; then they are cut off, and what they have under way fails there
   */
  async close(graceMs: number): Promise<void> {
    const shares = this.shares.filter((share) => share !== undefined);
    for (const share of shares) {
      if (share.attachment === undefined) share.port.close();
      else say(share, { type: 'closing' });
    }
    const cut = setTimeout(() => {
      for (const { port } of shares) port.close();
    }, graceMs);
    await Promise.all(shares.map(({ ended }) => ended));
    clearTimeout(cut);
  }

  private join(place: number): void {
    const share = this.shares[place];
    if (share === undefined || share.attachment !== undefined) return;
    const { group, ring, control, gauges, isUp } = this.parts;
    const attachment = group.attach(ring.members.length + 1 + place);
    share.attachment = attachment;
    const { ends, transfer } = attachment;
    const line = new MessageChannel();
    serveControl(control, line.port1);
    const up = ring.members.map((_, node) => isUp(node));
    say(share, { type: 'joined', ends, control: line.port2, up, gauges }, [...transfer, line.port2]);
  }

  private async finish(place: number): Promise<void> {
    const { attachment } = this.shares[place]!;
    if (attachment !== undefined) {
      attachment.cut();
      await attachment.left;
    }
    this.shares[place] = undefined;
  }
}

function say({ port }: Share, message: OpenerSays, transfer: MessagePort[] = []): void {
  port.postMessage(message, transfer);
}
