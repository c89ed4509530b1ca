"""Fixes that several reasons share, by platform: the same firewall, route or nameserver is changed elsewhere in each.

Source: Twingate documentation, "Connector best practices", "Connector failures", "DNS failures", "Firewall failures",
"Private DNS best practices"; help articles 4104282255 (clock), 4908519978 (tokens gone), 1422554451 (descriptors).
"""

from daemon.explain.page import Fixes

FIREWALL: Fixes = {
    "Docker": "Rules for containers alone stand in the chain DOCKER-USER: `iptables -L DOCKER-USER -v -n`.",
    "Kubernetes": "A NetworkPolicy drops without a word: `kubectl get networkpolicy -n NAMESPACE`; allow the way out "
    "to this address and port.",
    "AWS": "Allow the port outbound in the security group of this host and inbound in that of the target; network ACLs "
    "keep no state, so they must let the replies back in as well: `aws ec2 describe-security-groups --group-ids SG`.",
    "Azure": "See the rules in force at the network interface of this host, then of the target: "
    "`az network nic list-effective-nsg -g GROUP -n NIC`.",
    "Google Cloud": "See the VPC firewall rules, outbound here and inbound at the target: "
    "`gcloud compute firewall-rules list --filter=network:NETWORK`.",
}
"""A port is dropped or refused on the way."""

ROUTES: Fixes = {
    "Docker": "Compare the container's routes with the host's: `nsenter -t PID -n ip route`. A container network that "
    "overlaps the target's subnet hides it: `docker network inspect NETWORK`.",
    "Kubernetes": "Routes of the node and of the pod network decide: `kubectl get node NODE -o wide`, then "
    "`ip route get ADDRESS` on that node.",
    "AWS": "Peering, transit gateway and VPN need a route in both directions: "
    "`aws ec2 describe-route-tables --filters Name=association.subnet-id,Values=SUBNET`.",
    "Azure": "See the routes in force, and add one to the route table of the subnet: "
    "`az network nic show-effective-route-table -g GROUP -n NIC`.",
    "Google Cloud": "See the routes of the VPC; a peering must export and import them: `gcloud compute routes list`.",
}
"""There is no way to an address, or not back from it."""

WAY_OUT: Fixes = {
    "Docker": "The container needs a network with a way out (not `--network none`, not an internal one): "
    "`docker inspect -f '{{json .NetworkSettings.Networks}}' CONTAINER`.",
    "Kubernetes": "An egress NetworkPolicy or gateway of the cluster decides: `kubectl get networkpolicy -A`.",
    "AWS": "The subnet's route table needs 0.0.0.0/0 to an internet gateway (with a public address) or a NAT gateway: "
    "`aws ec2 describe-route-tables --filters Name=association.subnet-id,Values=SUBNET`.",
    "Azure": "The subnet needs outbound access (NAT gateway, public address or firewall): "
    "`az network nic show-effective-route-table -g GROUP -n NIC`.",
    "Google Cloud": "The instance needs an external address, or its region a Cloud NAT: "
    "`gcloud compute routers list`, `gcloud compute instances describe INSTANCE`.",
}
"""Nothing gets out of this host to the internet."""

NAMESERVERS: Fixes = {
    "Docker": "`docker inspect -f '{{json .HostConfig.Dns}}' CONTAINER` shows nameservers of the container's own, "
    "`docker inspect -f '{{.ResolvConfPath}}' CONTAINER` its resolv.conf; TWINGATE_DNS overrides both.",
    "systemd": "`resolvectl status` shows the nameservers behind 127.0.0.53; change them where the link is configured "
    "(netplan, NetworkManager, systemd-networkd), not in /etc/resolv.conf.",
    "Kubernetes": "`kubectl get pods -n kube-system -l k8s-app=kube-dns` and its log; forward the private zone there. "
    "Helm: `connector.dnsServer` sets a nameserver for the Connector alone.",
    "AWS": "DNS resolution must be on in the VPC, and a private hosted zone associated with it: "
    "`aws ec2 describe-vpc-attribute --vpc-id VPC --attribute enableDnsSupport`.",
    "Azure": "The nameservers are those of the virtual network: `az network vnet show -g GROUP -n VNET --query "
    "dhcpOptions`. Container Instances do not take them over: name them when the container group is made.",
    "Google Cloud": "A private zone must list this VPC network: `gcloud dns managed-zones describe ZONE`.",
}
"""The wrong nameserver is asked, or the right one does not know the zone."""

CLOCK: Fixes = {
    "Docker": "A container has its host's clock: correct it on the host.",
    "systemd": "`apt-get install chrony` (or `dnf install chrony`), `systemctl enable --now chrony` (or `chronyd`), "
    "then `chronyc makestep`.",
    "Kubernetes": "The clock is the node's: run chrony on every node that may carry the Connector.",
    "AWS": "On an instance of your own: chrony, as for systemd. On a managed host such as Fargate the clock is the "
    "provider's: replace the task, and open a case with AWS.",
    "Azure": "On a machine of your own: chrony, as for systemd. In Container Instances the clock is the provider's: "
    "make the container group anew, and open a case with Azure.",
    "Google Cloud": "On an instance of your own: chrony, as for systemd. On a managed host it is Google's.",
}
"""The clock is wrong."""

START: Fixes = {
    "Docker": "`docker start CONTAINER`; `--restart=unless-stopped` lets Docker start it again by itself.",
    "systemd": "`systemctl enable --now twingate-connector`.",
    "Kubernetes": "`kubectl describe pod POD` says why it is not started; `kubectl rollout restart deployment/NAME`.",
    "AWS": "On ECS: start it through its service, whose events say why it was stopped: "
    "`aws ecs describe-services --cluster CLUSTER --services SERVICE`.",
    "Azure": "Container Instances: `az container start -g GROUP -n NAME`; an image that can't be pulled is told by "
    "`az container show -g GROUP -n NAME --query 'containers[].instanceView'`.",
}
"""The Connector must be started."""

RESTART: Fixes = {
    "Docker": "`docker restart CONTAINER`.",
    "systemd": "`systemctl restart twingate-connector`.",
    "Kubernetes": "`kubectl rollout restart deployment/NAME -n NAMESPACE`.",
}
"""The Connector must be started anew."""

TOKENS: Fixes = {
    "Docker": "`docker rm -f CONTAINER`, then the `docker run` of the Admin Console with the new tokens.",
    "systemd": "Write the new TWINGATE_ACCESS_TOKEN and TWINGATE_REFRESH_TOKEN into /etc/twingate/connector.conf, then "
    "`systemctl restart twingate-connector`.",
    "Kubernetes": "Helm: new `connector.accessToken` and `connector.refreshToken` (or the Secret that "
    "`connector.existingSecret` names), then `helm upgrade`, and `kubectl rollout restart deployment/NAME`.",
}
"""The Connector needs new tokens."""

DESCRIPTORS: Fixes = {
    "Docker": "Make the container anew with `--ulimit nofile=65535:65535`.",
    "systemd": "`systemctl edit twingate-connector`, add `LimitNOFILE=65535` under [Service], then "
    "`systemctl restart twingate-connector`.",
    "Kubernetes": "The limit comes from the container runtime of the node: raise it there, or add a Connector.",
    "AWS": "Fargate's limit can't be changed: add a Connector.",
}
"""The Connector runs short of file descriptors."""
