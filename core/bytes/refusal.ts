/** A codec's refusal of a value, in words that never show the value. */
export class Refusal extends TypeError {}
