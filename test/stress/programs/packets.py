"""Sends hostile SCTP packets over IPv4 and prints what came of it as JSON.

    packets.py SEED COUNT HOST TARGETS GOOD VICTIMS

HOST has the listening ports TARGETS. Packets come from HOST itself and from
others of its /24, whose route leads to dummy0, where nobody answers, so that
replies can be read there. The associations of the ports GOOD are never sent a
right verification tag; the tags of those of VICTIMS are read from the wire and
used. Lists are separated by commas.
"""

import json
import random
import socket
import struct
import sys
import time
from collections import Counter

seed, count, host = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
targets, good, victims = (list(map(int, a.split(","))) for a in sys.argv[4:7])

R = random.Random(seed)
HOST = socket.inet_aton(host)
SCTP = 132
TTL = 77  # tells our packets from those of others
DATA, INIT, INIT_ACK, ABORT, COOKIE_ECHO, COOKIE_ACK = 0, 1, 2, 6, 10, 11
COOKIE = 7

TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def u32():
    return R.getrandbits(32)


def some(most):
    return R.randbytes(R.randint(0, most))


def pad(data):
    return data + bytes(-len(data) % 4)


def chunk(kind, flags, body):
    return pad(struct.pack(">BBH", kind, flags, 4 + len(body)) + body)


def tlv(kind, body):
    return pad(struct.pack(">HH", kind, 4 + len(body)) + body)


def stranger():
    return HOST[:3] + bytes([R.randint(2, 254)])


# The parameters of INIT, INIT ACK, ASCONF and RE-CONFIG (RFC 9260, 5061, 6525).
PARAMETERS = [
    lambda: tlv(5, stranger()),
    lambda: tlv(6, R.randbytes(16)),
    lambda: tlv(7, some(64)),
    lambda: tlv(9, struct.pack(">I", u32())),
    lambda: tlv(11, b"example.invalid\0"),
    lambda: tlv(12, struct.pack(">HH", 5, 6)),
    lambda: tlv(0x8000, b""),
    lambda: tlv(0x8002, R.randbytes(32)),
    lambda: tlv(0x8003, some(8)),
    lambda: tlv(0x8004, struct.pack(">HH", 1, 3)),
    lambda: tlv(0x8008, bytes([0xC0, 0xC1, 0x80, 0x82])),
    lambda: tlv(0xC000, b""),
    lambda: tlv(R.choice((0xC001, 0xC002, 0xC004)),
                struct.pack(">I", u32()) + tlv(5, stranger())),
    lambda: tlv(R.randint(13, 17), struct.pack(">III", u32(), u32(), u32()) + some(8)),
    lambda: tlv(0xC006, struct.pack(">I", u32())),
    lambda: tlv(R.getrandbits(16), some(16)),
]


def parameters(most=4):
    return b"".join(R.choice(PARAMETERS)() for _ in range(R.randint(0, most)))


def init(kind=INIT, tag=None, extra=None):
    tag = u32() if tag is None else tag
    extra = parameters() if extra is None else extra
    return chunk(kind, 0, struct.pack(">IIHHI", tag, 65536, 10, 10, tag) + extra)


def tsn(near):
    return (near + R.choice((1, 1, 1, 2, -1, 0, R.randint(-99, 99), u32()))) % 2**32


def sid():
    return R.choice((0, 0, 1, 9, 65535))


def sack(near):
    gaps, dups = R.randint(0, 4), R.randint(0, 2)
    return chunk(3, 0, struct.pack(">IIHH", tsn(near), R.choice((0, 1, 65536)), gaps, dups)
                 + R.randbytes(4 * (gaps + dups)))


def data(near):
    return chunk(DATA, R.choice((3, 7, 0, 1, 2, 15)),
                 struct.pack(">IHHI", tsn(near), sid(), R.choice((0, 1, R.getrandbits(16))), u32())
                 + some(40))


# One of each kind of chunk, near a TSN that its receiver may expect.
CHUNKS = [
    data,
    data,
    lambda near: init(),
    lambda near: init(INIT_ACK),
    sack,
    sack,
    lambda near: chunk(4, 0, tlv(1, some(40))),
    lambda near: chunk(5, 0, tlv(1, some(40))),
    lambda near: chunk(ABORT, R.choice((0, 1)), tlv(12, some(8))),
    lambda near: chunk(7, 0, struct.pack(">I", tsn(near))),
    lambda near: chunk(8, 0, b""),
    lambda near: chunk(9, 0, tlv(R.randint(1, 13), some(16))),
    lambda near: chunk(COOKIE_ECHO, 0, some(120)),
    lambda near: chunk(COOKIE_ACK, 0, b""),
    lambda near: chunk(12, 0, struct.pack(">I", tsn(near))),
    lambda near: chunk(13, 0, struct.pack(">I", tsn(near))),
    lambda near: chunk(14, R.choice((0, 1)), b""),
    lambda near: chunk(15, 0, struct.pack(">HH", 0, 1) + R.randbytes(20)),
    lambda near: chunk(64, 3, struct.pack(">IHHII", tsn(near), sid(), 0, 0, u32()) + some(40)),
    lambda near: chunk(0x80, 0, struct.pack(">I", u32()) + parameters()),
    lambda near: chunk(0x82, 0, parameters()),
    lambda near: chunk(0x84, 0, some(40)),
    lambda near: chunk(0xC0, 0, struct.pack(">IHH", tsn(near), sid(), 0)),
    lambda near: chunk(0xC1, 0, struct.pack(">I", u32()) + tlv(5, HOST) + parameters()),
    lambda near: chunk(0xC2, 0, struct.pack(">IHHI", tsn(near), sid(), 0, u32())),
    lambda near: chunk(R.getrandbits(8), R.getrandbits(8), some(40)),
]


def flip(data):
    data[R.randrange(len(data))] ^= 1 << R.randrange(8)


def extreme(data):
    data[R.randrange(len(data))] = R.choice((0, 1, 0x7F, 0x80, 0xFF))


def truncate(data):
    del data[R.randrange(len(data)):]


def cut(data):
    at = R.randrange(len(data))
    del data[at:at + R.randint(1, 8)]


def insert(data):
    at = R.randrange(len(data))
    data[at:at] = R.randbytes(R.randint(1, 8))


def lie(data):
    length = R.choice((0, 1, 3, 4, 5, len(data) - 1, len(data) + 1, 65535))
    data[2:4] = struct.pack(">H", length & 0xFFFF)


def repeat(data):
    data += data[-R.randint(1, 40):]


MUTATIONS = [flip, extreme, truncate, cut, insert, lie, repeat]


def mutate(data):
    data = bytearray(data)
    for _ in range(R.randint(1, 3)):
        if data:
            R.choice(MUTATIONS)(data)
    return bytes(data)


def chunks(near=0):
    """One to three chunks, most of them not as they should be."""
    parts = [R.choice(CHUNKS)(near) for _ in range(R.choice((1, 1, 1, 2, 3)))]
    return b"".join(mutate(p) if R.random() < 0.7 else p for p in parts)


out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
ALL = 3  # ETH_P_ALL: what is bound to one protocol sees no outgoing packets
replies = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
replies.bind(("dummy0", ALL))
replies.setblocking(False)

sent = Counter()
seen = Counter()


def send(kind, source, sport, dport, tag, body):
    head = struct.pack(">HHI", sport, dport, tag)
    crc = crc32c(head + bytes(4) + body)
    if R.random() < 0.05:
        crc ^= 1 << R.randrange(32)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, TTL, SCTP, 0, source, HOST)
    out.sendto(ip + head + struct.pack("<I", crc) + body, (host, 0))
    sent[kind] += 1


def parse(packet):
    """Addresses, ports, tag and chunks of an IP packet."""
    at = (packet[0] & 15) * 4
    sport, dport, tag = struct.unpack_from(">HHI", packet, at)
    found = []
    at += 12
    while at + 4 <= len(packet):
        kind, length = packet[at], struct.unpack_from(">H", packet, at + 2)[0]
        if length < 4:
            break
        found.append((kind, packet[at + 4:at + length]))
        at += (length + 3) & ~3
    return packet[12:16], packet[16:20], sport, dport, tag, found


def cookie_of(body):
    at = 16
    while at + 4 <= len(body):
        kind, length = struct.unpack_from(">HH", body, at)
        if kind == COOKIE:
            return body[at + 4:at + length]
        if length < 4:
            break
        at += (length + 3) & ~3
    return None


pending = {}  # handshakes of ours: the peer's tag and our first TSN
ours = {}  # associations of ours, as (address, port, target): [tag, TSN]
caught = {}  # the victims', the same


def answer():
    """Reads what came back and goes on with our handshakes, or does not."""
    while True:
        try:
            packet = replies.recv(2048)
        except BlockingIOError:
            return
        if packet[0] >> 4 != 4 or packet[9] != SCTP:
            continue
        _, peer, target, port, tag, found = parse(packet)
        key = (peer, port, target)
        for kind, body in found:
            seen[kind] += 1
            if kind == INIT_ACK and len(body) > 16:
                cookie = cookie_of(body)
                if cookie is None or R.random() < 0.3:
                    continue
                theirs = struct.unpack_from(">I", body)[0]
                pending[key] = [theirs, tag - 1]
                good_cookie = chunk(COOKIE_ECHO, 0, cookie)
                bad_cookie = chunk(COOKIE_ECHO, 0, mutate(cookie))
                for echo in R.choice(((good_cookie,), (bad_cookie,), (mutate(good_cookie),),
                                      (bad_cookie, good_cookie, good_cookie))):
                    send("cookie", *key, R.choice((theirs, theirs, theirs, u32())), echo)
            elif kind == COOKIE_ACK and key in pending:
                ours[key] = pending.pop(key)
        if len(pending) > 1000:
            pending.clear()
        if len(ours) > 64:
            key = next(iter(ours))
            send("inject", *key, ours.pop(key)[0], chunk(ABORT, 0, b""))


def catch():
    """Reads tags and TSNs of the victims' associations from the wire."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP) as wire:
        wire.settimeout(0.05)
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            try:
                packet = wire.recv(2048)
            except TimeoutError:
                return
            source, _, sport, dport, tag, found = parse(packet)
            if packet[8] == TTL or not (sport in victims or dport in victims):
                continue
            state = caught.setdefault((source, sport, dport), [tag, 0])
            state[0] = tag
            for kind, body in found:
                if kind == DATA and len(body) >= 4:
                    state[1] = struct.unpack_from(">I", body)[0]


def stray():
    send("stray", stranger(), R.randint(1, 65535), R.choice(targets),
         R.choice((0, u32(), u32())), chunks())


def spoof():
    ports = [R.choice(good), R.choice(targets)]
    R.shuffle(ports)
    send("spoof", HOST, *ports, u32(), chunks())


def flood():
    part = init()
    send("flood", stranger(), R.randint(1, 65535), R.choice(targets), 0,
         mutate(part) if R.random() < 0.5 else part)


def handshake():
    send("handshake", stranger(), R.randint(1024, 65535), R.choice(targets), 0, init(extra=b""))


def inject():
    associations = R.choice((ours, caught)) or ours or caught
    if not associations:
        return handshake()
    key, state = R.choice(list(associations.items()))
    send("inject", *key, state[0], chunks(state[1]))
    state[1] = (state[1] + R.choice((0, 1))) % 2**32


turn = 0
while sum(sent.values()) < count:
    if turn % 500 == 0:
        catch()
    R.choices((stray, spoof, flood, handshake, inject), (25, 20, 20, 10, 25))[0]()
    turn += 1
    if turn % 20 == 0:
        answer()
print(json.dumps({"sent": sent, "seen": seen}))
