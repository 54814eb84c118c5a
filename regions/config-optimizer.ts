import * as z from "zod";
import { type Optimizer } from "../protocols/learning/optimizer.ts";

/** How rows learn, by its `kind`; AdaGrad where none is named. What is left out has the value that `optimizer.ts` says, but for the rate. */
export function optimizer(learningRateDefault: number): z.ZodType<Optimizer> {
  const learningRate = positive({ max: 10, what: "a learning rate above 0 and at most 10" })
    .default(learningRateDefault)
    .meta({ description: "How far a step goes; what it is divided by depends on the kind" });
  const accumulating = {
    learningRate,
    initialAccumulator,
    epsilon: epsilon.meta({ description: "Added to the root that the rate is divided by. Default 1e-7" }),
  };
  const momentum = {
    learningRate,
    beta1: beta.meta({ description: "How much of the gradients' mean a step keeps. Default 0.9" }),
    beta2: beta.meta({ description: "How much of the squares' mean a step keeps. Default 0.999" }),
    epsilon: epsilon.meta({
      description: "Keeps the divisor above 0: beside the root with adam, beneath it with adamom. Default 1e-8",
    }),
  };
  const forms = z.discriminatedUnion(
    "kind",
    [
      z.strictObject({
        kind: kind("adagrad", "The default: a rate for each value, which falls with its squared gradients"),
        ...accumulating,
      }),
      z.strictObject({
        kind: kind("rowwise-adagrad", "AdaGrad with one rate for a whole row, which takes one number of state"),
        ...accumulating,
      }),
      z.strictObject({
        kind: kind("adam", "Momentum over a mean of squares that forgets: its rate does not fall"),
        ...momentum,
      }),
      z.strictObject({
        kind: kind("adamom", "As adam, with the mean of squares as a sum and a count that forget alike"),
        ...momentum,
      }),
      z.strictObject({
        kind: kind("ftrl", "AdaGrad's rates with penalties that make weights exactly 0"),
        learningRate,
        initialAccumulator,
        l1: penalty.meta({ description: "Weights whose evidence is below it are 0. Default 0" }),
        l2: penalty.meta({
          description:
            "Pulls weights towards 0: the paper's lambda 2, twice what TensorFlow and Keras call l2. Default 0",
        }),
        beta: penalty.meta({ description: "Makes the first steps smaller, as the paper's beta does. Default 0" }),
      }),
      z.strictObject({ kind: kind("ogd", "A rate that falls as the root of the row's steps"), learningRate }),
    ],
    { error: (issue) => (issue.code === "invalid_union" ? KINDS : undefined) },
  );
  return z.preprocess(
    (given) =>
      typeof given === "object" && given !== null && !("kind" in given) ? { kind: "adagrad", ...given } : given,
    forms.transform((form): Optimizer => form),
  );
}

function kind<K extends Optimizer["kind"]>(name: K, description: string): z.ZodLiteral<K> {
  return z.literal(name).meta({ description });
}

const KINDS = '"adagrad", "rowwise-adagrad", "adam", "adamom", "ftrl", "ogd"';

function positive({ max, what }: { readonly max: number; readonly what: string }) {
  return z.number({ error: what }).positive({ error: what }).max(max, { error: what });
}

const SHARE = "a number from 0 to below 1";
const share = z.number({ error: SHARE }).min(0, { error: SHARE }).lt(1, { error: SHARE });
const epsilon = positive({ max: 1, what: "a number above 0 and at most 1" }).exactOptional();
const beta = share.exactOptional();
const PENALTY = "a number from 0 to 1000000";
const penalty = z
  .number({ error: PENALTY })
  .min(0, { error: PENALTY })
  .max(1_000_000, { error: PENALTY })
  .exactOptional();
const initialAccumulator = penalty.meta({
  description:
    "The sum of squared gradients that a row begins with: a larger one makes its first steps smaller. Default 0.1",
});
