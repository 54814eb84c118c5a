// Keys of texts (protocols/keys.ts is the reference: the same bits).

const INTEGER_DIGITS_MAX: u32 = 19;
const NONE: u64 = 0x8000_0000_0000_0000;

/** The key of a text of so many UTF-16 units, of one byte each or two. */
export function keyOf(units: usize, length: u32, wide: bool): u64 {
  if (length - 1 < INTEGER_DIGITS_MAX) {
    const integer = wide ? integerOf<u16>(units, length) : integerOf<u8>(units, length);
    if (integer < NONE) return integer;
  }
  return wide ? hashOf<u16>(units, length) : hashOf<u8>(units, length);
}

/** A canonical integer below 2^63; what is no such one gives a greater number. 19 digits fit. */
function integerOf<Unit>(units: usize, length: u32): u64 {
  let integer: u64 = 0;
  const end = units + <usize>length * sizeof<Unit>();
  for (let at = units; at < end; at += sizeof<Unit>()) {
    const digit = <u32>load<Unit>(at) - 0x30;
    if (digit > 9) return NONE;
    integer = integer * 10 + digit;
  }
  return length > 1 && <u32>load<Unit>(units) == 0x30 ? NONE : integer;
}

/** MurmurHash3's body over two units a block, under two seeds. */
function hashOf<Unit>(units: usize, length: u32): u64 {
  let low: u32 = 0x9e3779b9;
  let high: u32 = 0x85ebca6b;
  for (let unit: u32 = 0; unit < length; unit += 2) {
    const at = units + <usize>unit * sizeof<Unit>();
    let block = <u32>load<Unit>(at);
    if (unit + 1 < length) block |= (<u32>load<Unit>(at + sizeof<Unit>())) << 16;
    block = rotl<u32>(block * 0xcc9e2d51, 15) * 0x1b873593;
    low = rotl<u32>(low ^ block, 13) * 5 + 0xe6546b64;
    high = rotl<u32>(high ^ block, 13) * 5 + 0xe6546b64;
  }
  return ((<u64>(mix(high ^ length) | 0x8000_0000)) << 32) | <u64>mix(low ^ length);
}

/** The shard of a key of a table, before the shards are counted. */
export function shardWord(table: u32, key: u64): u32 {
  return mix(mix(((table + 1) * 0x9e3779b1) ^ <u32>key) ^ <u32>(key >> 32));
}

/** MurmurHash3's 32-bit finaliser. */
function mix(value: u32): u32 {
  let h = value ^ (value >>> 16);
  h *= 0x85ebca6b;
  h ^= h >>> 13;
  h *= 0xc2b2ae35;
  return h ^ (h >>> 16);
}
