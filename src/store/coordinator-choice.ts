/**
 * Whom the client asks next: the first node of the partition's preference list that was not tried, is up, and has room;
 * behind those, nodes that are suspected, and then those of which only nobody is certain that they are down.
 *
 *     places   0 1 2 │ 3 4        nodes of the list: primaries │ fallbacks
 *     tried    ×
 *     eased in   ~                 it has only just come back: given its share, else the next primary is taken
 *     chosen       ●
 *
 * Sources: Dynamo (SOSP 2007), §6.4 (client-driven coordination), §4.6 (the first healthy nodes).
 */
import type { CoordinatorRequest, OperationFailure } from '../messages/coordinator-messages.js';
import type { Peers } from '../quorum/peers.js';
import { countSlots, hasSlot, lowestSlot, NO_SLOTS, type PlaceSet, withoutSlot, withSlot } from '../quorum/slots.js';
import type { PreferenceList } from '../ring/preference-list.js';
import { unavailable } from './client-outcomes.js';
import type { PendingRequest } from './pending-request.js';

/** How long a node that had no room for a request is not asked in another's stead, in milliseconds. */
const FULL_MS = 100;

export class CoordinatorChoice {
  private readonly peers: Peers;
  /** By partition: by place, its node; the primaries first. */
  private readonly orders: readonly (readonly number[])[];
  /** How many primaries a partition has; and by partition which nodes they are, as a bit mask. */
  private readonly n: number;
  private readonly primaryNodes: readonly PlaceSet[];
  /** By node: until when it counts as full. */
  private readonly fullUntil: Float64Array;

  /** @param peers - what is known of the nodes; its owner keeps it up to date */
  constructor(preferenceLists: readonly PreferenceList[], nodes: number, peers: Peers) {
    this.peers = peers;
    this.orders = preferenceLists.map(({ primaries, fallbacks }) => [...primaries, ...fallbacks]);
    this.n = preferenceLists[0]!.primaries.length;
    this.primaryNodes = preferenceLists.map(({ primaries }) => primaries.reduce(withSlot, NO_SLOTS));
    this.fullUntil = new Float64Array(nodes).fill(Number.NEGATIVE_INFINITY);
  }

  nodeAt(partition: number, place: number): number {
    return this.orders[partition]![place]!;
  }

  /** The place to ask next; −1 if all that can be reached were tried. */
  next(pending: PendingRequest, now: number): number {
    let place = this.placeAmongUp(pending, now);
    if (place === -1) place = this.untried(pending, this.peers.suspect);
    if (place === -1) place = this.untried(pending, this.peers.reachable);
    return place;
  }

  /** The place that backs up one that is silent. −1 if there is none: rather than ask who is only suspected, one waits. */
  nextForHedge(pending: PendingRequest, now: number): number {
    const room = this.upWithRoom(now);
    const place = this.untried(pending, room & this.peers.preferred);
    return place === -1 ? this.untried(pending, room) : place;
  }

  /**
   * Why so few nodes can be reached that the request cannot succeed; null if it can. Only what is certain is held against a
   * request: a node that seems to be down may have come back.
   */
  outOfReach(partition: number, request: CoordinatorRequest): OperationFailure | null {
    const nodes = countSlots(this.peers.reachable);
    if (request.type === 'put') {
      const { w, pw, dw } = request;
      if (nodes < w) return unavailable('w', nodes, w);
      if (nodes < dw) return unavailable('dw', nodes, dw);
      return pw === 0 ? null : this.fewPrimaries(partition, 'pw', pw);
    }
    if (request.type === 'page') return this.fewPrimaries(partition, 'r', request.r);
    const { r, pr } = request;
    if (nodes < r) return unavailable('r', nodes, r);
    return pr === 0 ? null : this.fewPrimaries(partition, 'pr', pr);
  }

  /** This node had no room for a request. */
  noteFull(node: number, now: number): void {
    this.fullUntil[node] = now + FULL_MS;
  }

  /** Whoever has not answered in all that time counts as one who does not. */
  noteSilence({ partition, awaited }: PendingRequest, now: number): void {
    for (let left = awaited; left !== NO_SLOTS; ) {
      const place = lowestSlot(left);
      left = withoutSlot(left, place);
      this.peers.unanswered(this.nodeAt(partition, place), now);
    }
  }

  private fewPrimaries(partition: number, quorum: 'r' | 'pr' | 'pw', wanted: number): OperationFailure | null {
    const primaries = countSlots(this.peers.reachable & this.primaryNodes[partition]!);
    return primaries < wanted ? unavailable(quorum, primaries, wanted) : null;
  }

  /** The next place that is up; rather another primary than one that stands still, or has only just come back. */
  private placeAmongUp(pending: PendingRequest, now: number): number {
    const { up, preferred } = this.peers;
    const first = this.untried(pending, up);
    if (preferred === up || first === -1) return first;
    const place = this.untried(pending, preferred);
    if (place === first || place === -1 || place >= this.n) return first;
    return this.peers.takesShare(this.nodeAt(pending.partition, first), now) ? first : place;
  }

  /** Where there is no room, a put that is sent again is lost with both of its attempts. */
  private upWithRoom(now: number): PlaceSet {
    let { up } = this.peers;
    const { fullUntil } = this;
    for (let node = 0; node < fullUntil.length; node++) if (now < fullUntil[node]!) up = withoutSlot(up, node);
    return up;
  }

  /** The first place whose node is in `among` and was not tried; −1 if there is none. */
  private untried(pending: PendingRequest, among: PlaceSet): number {
    const order = this.orders[pending.partition]!;
    // Where primaries are overloaded, the work is not shifted onto the others.
    const places = pending.refused ? this.n : order.length;
    for (let place = 0; place < places; place++) {
      if (!pending.wasTried(place) && hasSlot(among, order[place]!)) return place;
    }
    return -1;
  }
}
