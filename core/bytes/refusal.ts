/** A codec cannot encode a value. Neither text shows the value. */
export class Refusal extends TypeError {
  /** Why, as the end of a message of the manager's, which names the key. */
  readonly problem: string;

  constructor(problem: string, message: string = problem) {
    super(message);
    this.problem = problem;
  }
}
