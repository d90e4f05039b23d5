/** Who is calling. Given by the door after authentication, never by the input of an operation. */
export interface Actor {
  readonly kind: 'user' | 'agent' | 'system';
  readonly id: string;
}

/** `user:local`: the form in which an actor stands in the log. */
export function actorName(actor: Actor): string {
  return `${actor.kind}:${actor.id}`;
}

/** The product itself: reactors and the runner call operations as one of these. */
export function systemActor(id: string): Actor {
  return { kind: 'system', id };
}
