/**
 * What is wrong with a text that is not JSON, in the words of Dynamo's own workers.
 *
 * @module
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CLOSE = { list: 0x5d, object: 0x7d } as const;
const NAME = { list: "a list", object: "an object" } as const;
const WORDS = ["true", "false", "null"];
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Where and why reading ends. */
class Fault {
  readonly reason: string;
  /** Bytes up to and with the one that is wrong. */
  readonly end: number;

  constructor(reason: string, end: number) {
    this.reason = reason;
    this.end = end;
  }
}

/**
 * The first fault, such as `expected value at line 1 column 1`. Columns count bytes.
 *
 * @source serde_json 1.0, `error.rs`, `read.rs`, as a 1.6.1 worker answered
 */
export function jsonFault(bytes: Uint8Array): string {
  try {
    new Scanner(bytes).text();
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    const before = bytes.subarray(0, fault.end);
    const line = before.reduce((count, byte) => byte === 0x0a ? count + 1 : count, 1);
    return `${fault.reason} at line ${line} column ${fault.end - (before.lastIndexOf(0x0a) + 1)}`;
  }
  return "invalid JSON";
}

/** Reads for the sake of faults only. Open lists and objects are on a stack of its own: depth costs no calls. */
class Scanner {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  text(): void {
    const open: ("list" | "object")[] = [];
    for (;;) {
      const opened = this.#value();
      if (opened !== null) {
        open.push(opened);
        if (this.#skip() !== CLOSE[opened]) {
          this.#item(opened, true);
          continue;
        }
      }
      if (!this.#close(open)) return;
    }
  }

  /** After a value: goes to the next one, if there is one. */
  #close(open: ("list" | "object")[]): boolean {
    for (let inside = open.at(-1); inside !== undefined; inside = open.at(-1)) {
      const byte = this.#skip();
      if (byte === 0x2c) {
        this.#at++;
        this.#item(inside, false);
        return true;
      }
      if (byte !== CLOSE[inside]) {
        this.#fail(`expected \`,\` or \`${inside === "list" ? "]" : "}"}\``, `EOF while parsing ${NAME[inside]}`);
      }
      this.#at++;
      open.pop();
    }
    if (this.#skip() !== undefined) this.#fail("trailing characters", "");
    return false;
  }

  /** Goes to an item's value: past its key, in an object. */
  #item(inside: "list" | "object", isFirst: boolean): void {
    const byte = this.#skip();
    if (!isFirst && byte === CLOSE[inside]) this.#fail("trailing comma", "");
    if (isFirst && byte === undefined) this.#fail("", `EOF while parsing ${NAME[inside]}`);
    if (inside === "list") return;
    if (byte !== QUOTE) this.#fail("key must be a string", "EOF while parsing a value");
    this.#string();
    if (this.#skip() !== 0x3a) this.#fail("expected `:`", "EOF while parsing an object");
    this.#at++;
  }

  /** Reads a value, of a list or an object only the opening. */
  #value(): "list" | "object" | null {
    const byte = this.#skip();
    const letter = byte === undefined ? "" : String.fromCharCode(byte);
    if (letter === "[" || letter === "{") {
      this.#at++;
      return letter === "[" ? "list" : "object";
    }
    const word = WORDS.find((each) => each.startsWith(letter));
    if (byte === QUOTE) this.#string();
    else if (letter === "-" || isDigit(byte)) this.#number();
    else if (letter !== "" && word !== undefined) this.#word(word);
    else this.#fail("expected value", "EOF while parsing a value");
    return null;
  }

  #word(word: string): void {
    for (let i = 0; i < word.length; i++, this.#at++) {
      if (this.#bytes[this.#at] !== word.charCodeAt(i)) this.#fail("expected ident", "EOF while parsing a value");
    }
  }

  #number(): void {
    if (this.#bytes[this.#at] === 0x2d) this.#at++;
    if (this.#bytes[this.#at] === 0x30) {
      this.#at++;
      if (isDigit(this.#bytes[this.#at])) this.#fail("invalid number", "");
    } else this.#digits();
    if (this.#bytes[this.#at] === 0x2e) {
      this.#at++;
      this.#digits();
    }
    if (this.#bytes[this.#at] !== 0x65 && this.#bytes[this.#at] !== 0x45) return;
    this.#at++;
    if (this.#bytes[this.#at] === 0x2b || this.#bytes[this.#at] === 0x2d) this.#at++;
    this.#digits();
  }

  #digits(): void {
    if (!isDigit(this.#bytes[this.#at])) this.#fail("invalid number", "EOF while parsing a value");
    while (isDigit(this.#bytes[this.#at])) this.#at++;
  }

  #string(): void {
    const start = ++this.#at;
    for (;; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) this.#fail("", "EOF while parsing a string");
      if (byte! < 0x20) this.#fail("control character (\\u0000-\\u001F) found while parsing a string", "");
      if (byte === BACKSLASH) this.#escape();
      if (byte !== QUOTE) continue;
      const content = this.#bytes.subarray(start, this.#at);
      if (!isUtf8(content)) this.#fail("invalid unicode code point", "");
      this.#at++;
      return;
    }
  }

  /** Stops on its last byte. */
  #escape(): void {
    const letter = this.#bytes[++this.#at];
    if (letter !== 0x75) {
      if (letter === undefined || !'"\\/bfnrt'.includes(String.fromCharCode(letter))) {
        this.#fail("invalid escape", "EOF while parsing a string");
      }
      return;
    }
    const digits = this.#bytes.subarray(this.#at + 1, this.#at + 5);
    this.#at = Math.min(this.#at + 4, this.#bytes.length);
    if (digits.length < 4) throw new Fault("EOF while parsing a string", this.#bytes.length);
    if (!/^[0-9a-f]{4}$/i.test(String.fromCharCode(...digits))) this.#fail("invalid escape", "");
  }

  /** The next byte that is not blank; it is not read yet. */
  #skip(): number | undefined {
    while ([0x20, 0x09, 0x0a, 0x0d].includes(this.#bytes[this.#at]!)) this.#at++;
    return this.#bytes[this.#at];
  }

  #fail(reason: string, atEnd: string): never {
    if (this.#at >= this.#bytes.length) throw new Fault(atEnd, this.#bytes.length);
    throw new Fault(reason, this.#at + 1);
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
