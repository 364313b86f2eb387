"""IP address prefixes (hashicorp/go-cty-funcs `cidr`, apparentlymart/go-cidr)."""

from __future__ import annotations

from bakehouse.hcl.function import ArgumentError, Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import number_parameter, text_function, text_parameter, whole
from bakehouse.hcl.types import NUMBER, STRING, ListType, Type
from bakehouse.hcl.values import Value, list_, string


class _Network:
    """A prefix: the lowest address as a number, the length of the prefix, and how many bits an address has."""

    __slots__ = ("bits", "length", "start")

    def __init__(self, start: int, length: int, bits: int) -> None:
        self.start = start
        self.length = length
        self.bits = bits

    @property
    def size(self) -> int:
        return 1 << (self.bits - self.length)

    def __str__(self) -> str:
        # Go shows an IPv4 address inside IPv6 as IPv4, with the prefix shortened accordingly.
        length = self.length
        if self.bits == 128 and self.start >> 32 == 0xFFFF and length >= 96:
            length -= 96
        return f"{_address_text(self.start, self.bits)}/{length}"


def _address_text(address: int, bits: int) -> str:
    from ipaddress import IPv4Address, IPv6Address

    if bits == 32 or address >> 32 == 0xFFFF:
        return str(IPv4Address(address & 0xFFFFFFFF))
    return str(IPv6Address(address))


def _parse(text: str) -> _Network | None:
    from ipaddress import AddressValueError, IPv4Address, IPv6Address

    host, slash, length = text.partition("/")
    if not slash or not (length.isascii() and length.isdigit()) or (length[0] == "0" and length != "0"):
        return None
    try:
        if ":" in host and "%" not in host:
            address, bits = int(IPv6Address(host)), 128
        else:
            address, bits = int(IPv4Address(host)), 32
    except AddressValueError:
        return None
    prefix = int(length[:4])
    if prefix > bits:
        return None
    mask = (1 << bits) - (1 << (bits - prefix))
    return _Network(address & mask, prefix, bits)


def _network(text: str) -> _Network:
    network = _parse(text)
    if network is None:
        raise FunctionError(f"invalid CIDR expression: invalid CIDR address: {text}")
    return network


def _host(arguments: list[Value], result: Type) -> Value:
    number = whole(arguments[1])
    network = _network(arguments[0].raw)
    last = network.size - 1
    distance = number if number >= 0 else -number - 1
    if distance > last:
        raise FunctionError(f"prefix of {network.length} does not accommodate a host numbered {number}")
    offset = number if number >= 0 else last - distance
    return string(_address_text(network.start | offset, network.bits))


def _netmask(prefix: str) -> str:
    network = _network(prefix)
    mask = (1 << network.bits) - network.size
    return _address_text(mask, network.bits)


def _subnet(arguments: list[Value], result: Type) -> Value:
    extra, number = whole(arguments[1]), whole(arguments[2])
    network = _network(arguments[0].raw)
    if extra > 32:
        raise FunctionError("may not extend prefix by more than 32 bits")
    length = network.length + extra
    if length > network.bits:
        raise FunctionError(f"insufficient address space to extend prefix of {network.length} by {extra}")
    if length < 0 or number < 0 or (extra >= 0 and number >= 1 << extra):
        raise FunctionError(f"prefix extension of {extra} does not accommodate a subnet numbered {number}")
    start = network.start | number << (network.bits - length)
    return string(str(_Network(start, length, network.bits)))


def _subnets(arguments: list[Value], result: Type) -> Value:
    network = _parse(arguments[0].raw)
    if network is None:
        raise ArgumentError(0, f"invalid CIDR expression: invalid CIDR address: {arguments[0].raw}")
    out: list[Value] = []
    free = network.start  # the first address behind the last subnet given out
    current = ""
    for index, argument in enumerate(arguments[1:], 1):
        length = _extended(network, whole(argument, index), index)
        size = 1 << (network.bits - length)
        start = -(-free // size) * size
        if start + size > network.start + network.size:
            raise ArgumentError(
                index,
                f"not enough remaining address space for a subnet with a prefix of {length} bits after "
                f"{current or _before(network, length)}",
            )
        subnet = _Network(start, length, network.bits)
        current = str(subnet)
        out.append(string(current))
        free = start + size
    return list_(out, STRING)


def _before(network: _Network, length: int) -> _Network:
    """The subnet just below the network, wrapping around at address 0."""
    last = (network.start - 1) % (1 << network.bits)
    return _Network(last - last % (1 << (network.bits - length)), length, network.bits)


def _extended(network: _Network, extra: int, index: int) -> int:
    if extra < 1:
        raise ArgumentError(index, "must extend prefix by at least one bit")
    if extra > 32:
        raise ArgumentError(index, "may not extend prefix by more than 32 bits")
    length = network.length + extra
    if length > network.bits:
        protocol = "IPv4" if network.bits == 32 else "IPv6"
        raise ArgumentError(
            index, f"would extend prefix to {length} bits, which is too long for an {protocol} address"
        )
    return length


FUNCTIONS = {
    "cidrhost": Function([text_parameter("prefix"), number_parameter("hostnum")], STRING, _host),
    "cidrnetmask": text_function("prefix", _netmask),
    "cidrsubnet": Function(
        [text_parameter("prefix"), number_parameter("newbits"), number_parameter("netnum")], STRING, _subnet
    ),
    "cidrsubnets": Function(
        [text_parameter("prefix")], ListType(STRING), _subnets, variadic=Parameter("newbits", NUMBER)
    ),
}
