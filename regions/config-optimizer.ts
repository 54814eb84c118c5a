import * as z from "zod";
import { type Optimizer } from "../protocols/learning/optimizer.ts";

/** How rows learn, by its `kind`; AdaGrad where none is named. What is left out has the value that `optimizer.ts` says, but for the rate. */
export function optimizer(learningRateDefault: number): z.ZodType<Optimizer> {
  const learningRate = positive({ max: 10, what: "a learning rate above 0 and at most 10" }).default(
    learningRateDefault,
  );
  const momentum = { learningRate, beta1: share.exactOptional(), beta2: share.exactOptional(), epsilon };
  const forms = z.discriminatedUnion(
    "kind",
    [
      z.strictObject({ kind: z.literal("adagrad"), learningRate, initialAccumulator, epsilon }),
      z.strictObject({ kind: z.literal("rowwise-adagrad"), learningRate, initialAccumulator, epsilon }),
      z.strictObject({ kind: z.literal("adam"), ...momentum }),
      z.strictObject({ kind: z.literal("adamom"), ...momentum }),
      z.strictObject({
        kind: z.literal("ftrl"),
        learningRate,
        initialAccumulator,
        l1: penalty.meta({ description: "Weights whose evidence is below it are 0" }),
        l2: penalty,
        beta: penalty,
      }),
      z.strictObject({ kind: z.literal("ogd"), learningRate }),
    ],
    { error: (issue) => (issue.code === "invalid_union" ? KINDS : undefined) },
  );
  return z.preprocess(
    (given) =>
      typeof given === "object" && given !== null && !("kind" in given) ? { kind: "adagrad", ...given } : given,
    forms.transform((form): Optimizer => form),
  );
}

const KINDS = '"adagrad", "rowwise-adagrad", "adam", "adamom", "ftrl", "ogd"';

function positive({ max, what }: { readonly max: number; readonly what: string }) {
  return z.number({ error: what }).positive({ error: what }).max(max, { error: what });
}

const SHARE = "a number from 0 to below 1";
const share = z.number({ error: SHARE }).min(0, { error: SHARE }).lt(1, { error: SHARE });
const epsilon = positive({ max: 1, what: "a number above 0 and at most 1" }).exactOptional();
const PENALTY = "a number from 0 to 1000000";
const penalty = z
  .number({ error: PENALTY })
  .min(0, { error: PENALTY })
  .max(1_000_000, { error: PENALTY })
  .exactOptional();
const initialAccumulator = penalty.meta({ description: "The sum of squared gradients that a row begins with" });
