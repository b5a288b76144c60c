# SPDX-License-Identifier: Apache-2.0
"""Give out addresses that machines can really have."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

from moto.ec2.models import EC2Backend, elastic_ip_addresses, elastic_network_interfaces
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.subnets import Subnet

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches

# The first addresses of a subnet are AWS's: network, router, names, and one for the future. So is the last.
RESERVED = 4


class PublicAddresses:
    """Draws addresses from the region's public range, each to one holder at a time."""

    def __init__(self, cidr: str, in_use: Callable[[], set[str]]) -> None:
        self._network = ipaddress.ip_network(cidr)
        self._in_use = in_use
        self._rest: Iterator[Any] = iter(())

    def take(self) -> str:
        """Return an address nobody holds."""
        held = self._in_use()
        for _ in range(2):
            for address in self._rest:
                if str(address) not in held:
                    return str(address)
            self._rest = self._network.hosts()
        raise AwsError("AddressLimitExceeded", f"All public addresses of {self._network} are in use.")

    def replace_foreign(self, backend: Any) -> None:
        """Give addresses that were saved when the region had another range new ones, of this range."""
        for address in backend.addresses:
            if ipaddress.ip_address(address.public_ip) not in self._network:
                address.public_ip = self.take()
                if address.eni is not None:
                    address.eni.public_ip = address.public_ip
        for nic in backend.enis.values():
            is_ours = nic.requester_managed and nic.public_ip
            if is_ours and ipaddress.ip_address(nic.public_ip) not in self._network:
                nic.public_ip = self.take()


def public_addresses_in_use(backend: Any) -> set[str]:
    """Return the public addresses that interfaces and elastic addresses hold."""
    held = {eni.public_ip for eni in backend.enis.values()}
    return (held | {address.public_ip for address in backend.addresses}) - {None}


def install(patches: Patches, pool: PublicAddresses) -> None:
    """Replace moto's random addresses."""
    patches.replace(elastic_network_interfaces, "random_public_ip", pool.take)
    patches.replace(elastic_ip_addresses, "random_ip", pool.take)
    patches.replace(NetworkInterface, "stop", _give_back)
    patches.replace(NetworkInterface, "start", _take_unless_elastic(NetworkInterface.start))
    patches.replace(Subnet, "request_ip", _checked_request(Subnet.request_ip))
    patches.replace(Subnet, "get_available_subnet_ip", _next_free)
    patches.replace(EC2Backend, "create_network_interface", _in_subnet(EC2Backend.create_network_interface))


def _has_elastic_address(nic: Any) -> bool:
    return any(address.eni is nic for address in nic.ec2_backend.addresses)


def _give_back(nic: Any) -> None:
    """Lose the public address on stop, unless it is an elastic one."""
    if nic.public_ip_auto_assign and not _has_elastic_address(nic):
        nic.public_ip = None


def _take_unless_elastic(original: Callable[[Any], None]) -> Callable[[Any], None]:
    def start(nic: Any) -> None:
        if not _has_elastic_address(nic):
            original(nic)

    return start


def _checked_request(original: Callable[..., None]) -> Callable[..., None]:
    def request_ip(subnet: Any, ip: str, instance: Any) -> None:
        """Refuse an address outside the subnet, reserved by AWS, or in use, with AWS's errors."""
        address = ipaddress.ip_address(ip)
        network = subnet.cidr
        if address not in network:
            raise AwsError(
                "InvalidParameterValue", f"Address {ip} does not fall within the subnet's address range"
            )
        offset = int(address) - int(network.network_address)
        if offset < RESERVED or address == network.broadcast_address:
            raise AwsError("InvalidParameterValue", f"Address {ip} is in the subnet's reserved address range")
        if ip in subnet._subnet_ips:
            raise AwsError("InvalidIPAddress.InUse", f"Address {ip} is in use.")
        original(subnet, ip, instance)

    return request_ip


def free_addresses(subnet: Any) -> int:
    """Return how many more interfaces a subnet has addresses for."""
    return int(subnet.cidr.num_addresses - RESERVED - 1 - len(subnet._subnet_ips))


def _next_free(subnet: Any, instance: Any) -> str:
    """Take the next free address, in a circle, so that one that was just given back is not used at once."""
    network = subnet.cidr
    usable = network.num_addresses - RESERVED - 1
    base = int(network.network_address) + RESERVED
    begin = getattr(subnet, "next_offset", 0)
    held = subnet._subnet_ips
    for step in range(usable):
        offset = (begin + step) % usable
        address = _dotted(base + offset)
        if address not in held:
            subnet.next_offset = offset + 1
            held[address] = instance
            return address
    raise no_address(subnet)


def no_address(subnet: Any) -> AwsError:
    """Return what a subnet without room answers."""
    return AwsError(
        "InsufficientFreeAddressesInSubnet", f"There are not enough free addresses in subnet '{subnet.id}'"
    )


def _dotted(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _in_subnet(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_network_interface(
        backend: Any, subnet: Any, private_ip_address: Any, *rest: Any, **options: Any
    ) -> Any:
        """Give every interface an address that is inside its subnet and free; moto draws one at random."""
        if isinstance(subnet, str):
            subnet = backend.get_subnet(subnet)
        wanted = private_ip_address[0] if isinstance(private_ip_address, list) else private_ip_address
        if not wanted or ipaddress.ip_address(wanted) not in subnet.cidr:
            private_ip_address = subnet.get_available_subnet_ip(None)
        elif wanted not in subnet._subnet_ips:
            subnet.request_ip(wanted, None)
        return original(backend, subnet, private_ip_address, *rest, **options)

    return create_network_interface
