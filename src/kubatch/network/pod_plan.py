"""The network of pods, as far as it can be said without touching the machine. Pure.

A bridge of this machine, and for each pod a cable to it, made by the CNI plugins `bridge` and
`host-local`. Pods reach the addresses of Services, which are the machine's own loopback ones
(127.96.0.0/12), by way of the bridge: `route_localnet` lets it take them, and the rules here let
no other loopback address through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Network, ip_interface, ip_network
from typing import Any

SERVICES = "127.96.0.0/12"  # registry/kinds/service/allocation.py: RANGE
API_ADDRESS, API_PORT = "127.96.0.1", 443  # the Service `kubernetes`
INTERFACE = "eth0"  # libcni and containerd call it so
CNI_VERSION = "1.0.0"
TABLES = ("raw", "mangle", "nat", "filter")
PACKAGES = "the packages containernetworking-plugins, iproute2 and iptables"

# In a pod's namespace. Its own loopback network is made smaller, so that Services are outside;
# low ports are anybody's (containerd: pkg/cri/server/sandbox_run_linux.go, sysctls).
SET_UP_POD = f"""\
ip link set lo up && ip address del 127.0.0.1/8 dev lo && ip address add 127.0.0.1/16 dev lo &&
ip route replace {SERVICES} via "$1" dev {INTERFACE} &&
echo 1 > /proc/sys/net/ipv4/conf/{INTERFACE}/route_localnet &&
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start &&
echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range
"""


class NoRoom(Exception):
    """Every network that pods could have is in use."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One server's network of pods."""

    bridge: str
    subnet: IPv4Network

    @property
    def gateway(self) -> str:
        """The bridge's own address."""
        return str(self.subnet[1])

    @property
    def mark(self) -> str:
        """The comment by which its firewall rules are found again."""
        return f"kubatch:{self.bridge}"

    def namespace(self, uid: str) -> str:
        """The name of a pod's namespace; all of one server's begin alike."""
        return f"{self.bridge}-{short(uid)}"


def short(text: str) -> str:
    """A name for a text that a device or a file can have."""
    return sha256(text.encode()).hexdigest()[:12]


def bridge_name(data_dir: str) -> str:
    """A name that another data directory's server does not use; the kernel takes 15 letters."""
    return f"kb{short(data_dir)[:10]}"


def choose_subnet(wanted: IPv4Network, taken: Iterable[str]) -> IPv4Network:
    """The wanted network, or the next one in 10.0.0.0/8 of its size that nobody has."""
    used = [n for text in taken if isinstance(n := ip_network(text, strict=False), IPv4Network)]
    step = wanted.num_addresses
    first = int(wanted.network_address)
    for offset in range(1024):
        candidate = IPv4Network((first + offset * step, wanted.prefixlen))
        if not candidate.is_private:
            break
        if not any(candidate.overlaps(network) for network in used):
            return candidate
    raise NoRoom(f"no free network for pods from {wanted} on")


def taken_networks(addresses: Any, routes: Any) -> Iterator[str]:
    """The networks in use, from what `ip -json address` and `ip -json route` tell."""
    for device in addresses:
        for one in device.get("addr_info", ()):
            if one.get("family") == "inet":
                yield f"{one['local']}/{one['prefixlen']}"
    for route in routes:
        if (to := route.get("dst", "default")) != "default" and ":" not in to:
            yield to


def cni_config(plan: Plan, data_dir: str) -> dict[str, Any]:
    """What the plugins are told (https://www.cni.dev/plugins/current/main/bridge/)."""
    return {
        "cniVersion": CNI_VERSION,
        "name": plan.bridge,
        "type": "bridge",
        "bridge": plan.bridge,
        "isGateway": True,
        "ipMasq": False,  # one rule for all pods does it
        "ipam": {
            "type": "host-local",
            "dataDir": data_dir,
            "ranges": [[{"subnet": str(plan.subnet), "gateway": plan.gateway}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }


def cni_environment(command: str, namespace: str, container: str, path: str) -> dict[str, str]:
    """The variables of a plugin's call (CNI specification, section 2)."""
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": namespace,
        "CNI_IFNAME": INTERFACE,
        "CNI_PATH": path,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }


def address_in(result: Mapping[str, Any]) -> str:
    """The pod's address in a plugin's result; "" when there is none."""
    for one in result.get("ips") or ():
        if (found := ip_interface(one["address"]).ip).version == 4:
            return str(found)
    return ""


def plugin_error(output: str) -> str:
    """What a plugin that failed has to say."""
    import json

    try:
        said = json.loads(output)
        return ": ".join(filter(None, (said.get("msg"), said.get("details")))) or output.strip()
    except (ValueError, AttributeError):
        return output.strip() or "it said nothing"


# ----- the firewall


def rules(plan: Plan, api: tuple[str, int] | None) -> dict[str, list[str]]:
    """The rules by table, as iptables-restore takes them; `api` is where the server listens."""
    bridge, subnet = plan.bridge, plan.subnet
    found = {
        # Before addresses are translated: nobody else's address, and of loopback only Services.
        "raw": [
            f"-A PREROUTING -i {bridge} ! -s {subnet} -j DROP",
            f"-A PREROUTING -i {bridge} -d {SERVICES} -j ACCEPT",
            f"-A PREROUTING -i {bridge} -d 127.0.0.0/8 -j DROP",
        ],
        # Nobody but this machine opens connections to pods.
        "mangle": [
            f"-A FORWARD -o {bridge} ! -i {bridge} "
            "-m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP",
        ],
        "nat": [f"-A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE"],
        # First, for a machine's own firewall may end with a refusal.
        "filter": [
            f"-I FORWARD -i {bridge} -j ACCEPT",
            f"-I FORWARD -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            f"-I INPUT -i {bridge} -d {SERVICES} -j ACCEPT",
        ],
    }
    if api is not None:
        # Several servers on one machine all have this Service; so each serves it to its own pods.
        to = f"{api[0]}:{api[1]}"
        service = f"-i {bridge} -d {API_ADDRESS} -p tcp -m tcp --dport {API_PORT}"
        found["nat"].append(f"-A PREROUTING {service} -j DNAT --to-destination {to}")
        found["filter"].append(f"-I INPUT -i {bridge} -m conntrack --ctstate DNAT -j ACCEPT")
    marked = f'-m comment --comment "{plan.mark}" -j'
    return {table: [rule.replace("-j", marked, 1) for rule in of] for table, of in found.items()}


def changes(saved: str, mark: str, wanted: Mapping[str, Sequence[str]]) -> str:
    """What iptables-restore is told, so that of the rules with this mark these are there.

    `saved` is what iptables-save tells.
    """
    old: dict[str, list[str]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A ") and mark in line.replace('"', " ").split():
            old.setdefault(table, []).append(f"-D {line[3:]}")
    lines: list[str] = []
    for name in TABLES:
        if steps := [*old.get(name, ()), *wanted.get(name, ())]:
            lines += [f"*{name}", *steps, "COMMIT"]
    return "".join(f"{line}\n" for line in lines)
