/** Of the text, in bytes of UTF-8, but for a few marks of what was left out. */
const TEXT_BYTES_MAX = 4000;
const STRING_CHARS_MAX = 200;
const NUMBERS_MAX = 8;
const DEPTH_MAX = 8;

/**
 * A short JSON text of any value, for people: at most about 4 KB whatever the value's size. Typed arrays and buffers become their first
 * numbers and their length, `{"$float32":[1,2],"length":2}`; what was left out is marked by `$more` or an ellipsis. Never throws.
 */
export function shortJson(value: unknown): string {
  let left = TEXT_BYTES_MAX;

  function put(text: string): string {
    left -= Buffer.byteLength(text);
    return text;
  }

  function render(item: unknown, depth: number): string {
    switch (typeof item) {
      case "string":
        return put(JSON.stringify(item.length > STRING_CHARS_MAX ? `${item.slice(0, STRING_CHARS_MAX)}…` : item));
      case "number":
        return put(Number.isFinite(item) ? String(item) : `"${item}"`);
      case "boolean":
        return put(String(item));
      case "bigint":
        return put(`"${item.toString().slice(0, STRING_CHARS_MAX)}"`);
      case "undefined":
        return put("null");
      case "symbol":
      case "function":
        return put(`"[${typeof item}]"`);
      case "object":
        return item === null ? put("null") : renderObject(item, depth);
    }
  }

  function renderObject(item: object, depth: number): string {
    if (ArrayBuffer.isView(item)) return put(renderView(item));
    if (item instanceof ArrayBuffer || item instanceof SharedArrayBuffer) return put(renderView(new Uint8Array(item)));
    if (depth === DEPTH_MAX) return put('"…"');
    if (Array.isArray(item)) return renderArray(item, depth);
    const prototype: unknown = Object.getPrototypeOf(item);
    if (prototype === Object.prototype || prototype === null) return renderFields(item, depth);
    return put(JSON.stringify(`[${typeName(item)}]`));
  }

  function renderArray(items: readonly unknown[], depth: number): string {
    const parts: string[] = [];
    put("[]");
    for (let index = 0; index < items.length && left > 0; index++) {
      put(",");
      parts.push(render(items[index], depth + 1));
    }
    if (parts.length < items.length) parts.push(put(`{"$more":${items.length - parts.length}}`));
    return `[${parts.join(",")}]`;
  }

  function renderFields(item: object, depth: number): string {
    const parts: string[] = [];
    put("{}");
    for (const name in item) {
      if (left <= 0) {
        parts.push(put('"$more":true'));
        break;
      }
      const field: unknown = Reflect.get(item, name);
      if (field === undefined) continue;
      const key = render(name, depth);
      put(":,");
      parts.push(`${key}:${render(field, depth + 1)}`);
    }
    return `{${parts.join(",")}}`;
  }

  try {
    return value === undefined ? "" : render(value, 0);
  } catch {
    return '"[not data]"'; // a getter that throws
  }
}

function renderView(view: ArrayBufferView): string {
  const name = typeName(view)
    .replace(/Array$/, "")
    .toLowerCase();
  const numbers: string[] = [];
  let length = view.byteLength;
  if (!(view instanceof DataView) && "length" in view && typeof view.length === "number") {
    ({ length } = view);
    for (let index = 0; index < Math.min(NUMBERS_MAX, length); index++) {
      const item: unknown = Reflect.get(view, index);
      numbers.push(typeof item === "number" && Number.isFinite(item) ? String(item) : `"${String(item)}"`);
    }
  }
  return `{"$${name}":[${numbers.join(",")}],"length":${length}}`;
}

/** As the language names it, cut: a class may name itself anything. */
function typeName(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1).slice(0, 40);
}
