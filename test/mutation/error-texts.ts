/*
 * A plugin of StrykerJS: the wording of errors is not mutated. Tests look at which error comes and at its data; that a sentence could
 * be another says nothing about them.
 */

/** As much of Babel's path as is looked at here. */
interface SyntaxPath {
  readonly node: { readonly type: string };
  readonly parentPath: SyntaxPath | null;
}

const TEXTS = new Set(["StringLiteral", "TemplateLiteral"]);

export const strykerPlugins = [{ kind: "Ignore", name: "error-texts", value: { shouldIgnore } }];

function shouldIgnore(path: SyntaxPath): string | undefined {
  if (!TEXTS.has(path.node.type)) return undefined;
  for (let at = path.parentPath; at !== null; at = at.parentPath) {
    if (at.node.type === "ThrowStatement" || isSuperCall(at)) return "the wording of an error";
  }
  return undefined;
}

function isSuperCall({ node }: SyntaxPath): boolean {
  return node.type === "CallExpression" && "callee" in node && isSuper(node.callee);
}

function isSuper(callee: unknown): boolean {
  return typeof callee === "object" && callee !== null && "type" in callee && callee.type === "Super";
}
