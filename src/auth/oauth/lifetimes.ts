const minute = 60_000;
const day = 24 * 60 * minute;

/** An access token. Short, though revocation does not wait for it: a copy in some log is worth little soon. */
export const accessMs = 10 * minute;
/** A refresh token that nobody uses. */
export const refreshMs = 30 * day;
/** A grant, however much it is used: then its user is asked again. */
export const grantMs = 90 * day;
/** From consent to the exchange of its code. */
export const codeMs = minute;
/** From the request of a client to the consent. */
export const flowMs = 10 * minute;
