/**
 * Where the actors of a cluster live: node i on thread i, its coordinator, hint keeper, hint deliverer, exchanger, reaper
 * and vnodes in fixed slots there.
 * Clients live on the threads after the nodes'.
 */
import { type ActorRef, refAt } from '../runtime/actor.js';
import { type CoordinatorAnswer, type CoordinatorRequest, coordinatorConversation } from './coordinator-messages.js';
import { type ExchangeReply, type ExchangeRequest, exchangeConversation } from './exchange-messages.js';
import { type HoldingAnswer, type HoldingRequest, hintDeliveryConversation } from './hint-delivery-messages.js';
import { type HintRequest, hintConversation } from './hint-messages.js';
import { type ReaperAnswer, type ReapRequest, reapConversation } from './reap-messages.js';
import { type VnodeAnswer, type VnodeRequest, vnodeConversation } from './vnode-messages.js';

export const COORDINATOR_SLOT = 1;
export const CLIENT_SLOT = 2;
export const HINT_KEEPER_SLOT = 3;
export const HINT_DELIVERER_SLOT = 4;
export const EXCHANGER_SLOT = 5;
export const REAPER_SLOT = 6;
/** Vnodes take the slots from here on, one per partition. */
const FIRST_VNODE_SLOT = 16;

export function vnodeSlot(partition: number): number {
  return FIRST_VNODE_SLOT + partition;
}

export function coordinatorRef(node: number): ActorRef<CoordinatorRequest, CoordinatorAnswer> {
  return refAt(coordinatorConversation, node, COORDINATOR_SLOT);
}

export function hintKeeperRef(node: number): ActorRef<HintRequest, VnodeAnswer> {
  return refAt(hintConversation, node, HINT_KEEPER_SLOT);
}

export function hintDelivererRef(node: number): ActorRef<HoldingRequest, HoldingAnswer> {
  return refAt(hintDeliveryConversation, node, HINT_DELIVERER_SLOT);
}

export function exchangerRef(node: number): ActorRef<ExchangeRequest, ExchangeReply> {
  return refAt(exchangeConversation, node, EXCHANGER_SLOT);
}

export function reaperRef(node: number): ActorRef<ReapRequest, ReaperAnswer> {
  return refAt(reapConversation, node, REAPER_SLOT);
}

export function vnodeRef(node: number, partition: number): ActorRef<VnodeRequest, VnodeAnswer> {
  return refAt(vnodeConversation, node, vnodeSlot(partition));
}
