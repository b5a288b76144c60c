# SPDX-License-Identifier: Apache-2.0
"""Route tables, their routes, and the subnets that follow them."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources.ec2_kinds import Description, Ec2Resource, Kind, picked
from sandbox.cloudformation.resources.failures import absent_is_fine

NO_TABLE = "InvalidRouteTableID.NotFound"
NO_ROUTE = "InvalidRoute.NotFound"
NO_ASSOCIATION = "InvalidAssociationID.NotFound"
_TARGETS = ("GatewayId", "NatGatewayId")
TABLES = Kind("describe_route_tables", "RouteTables", "RouteTableIds", NO_TABLE, "route-table")


class RouteTable(Ec2Resource):
    """AWS::EC2::RouteTable."""

    type_name = "AWS::EC2::RouteTable"
    properties = frozenset({"VpcId", "Tags"})
    kind = TABLES

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the table."""
        answer = call.client("ec2").create_route_table(
            VpcId=properties["VpcId"], TagSpecifications=self.kind.specification(call, properties)
        )
        return self.physical(call, answer["RouteTable"]["RouteTableId"])

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the table."""
        del properties
        with absent_is_fine(NO_TABLE):
            call.client("ec2").delete_route_table(RouteTableId=physical_id)

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the VPC; routes and associations are resources of their own."""
        del call
        return picked(description, "VpcId")

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the id."""
        del call
        return picked(description, "RouteTableId")


class Route:
    """AWS::EC2::Route, of IPv4: `<table>|<destination>`."""

    type_name = "AWS::EC2::Route"
    properties = frozenset({"RouteTableId", "DestinationCidrBlock", *_TARGETS})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Add the route; one that is there, made by hand, is an error as in AWS."""
        call.client("ec2").create_route(**_key(properties), **_target(properties))
        return self._physical(properties)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return where the route leads."""
        table_id, _, destination = physical_id.partition("|")
        table = TABLES.described(call, table_id)
        for route in table["Routes"] if table else ():
            if route.get("DestinationCidrBlock") == destination:
                return {
                    "RouteTableId": table_id,
                    "DestinationCidrBlock": destination,
                    **picked(route, *_TARGETS),
                }
        return None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Lead the route elsewhere."""
        del physical_id, before
        call.client("ec2").replace_route(**_key(after), **_target(after))
        return self._physical(after)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the route."""
        del properties
        table_id, _, destination = physical_id.partition("|")
        with absent_is_fine(NO_ROUTE, NO_TABLE):
            call.client("ec2").delete_route(RouteTableId=table_id, DestinationCidrBlock=destination)

    def _physical(self, properties: Properties) -> Physical:
        destination = properties["DestinationCidrBlock"]
        return Physical(f"{properties['RouteTableId']}|{destination}", {"CidrBlock": destination})


class SubnetRouteTableAssociation:
    """AWS::EC2::SubnetRouteTableAssociation."""

    type_name = "AWS::EC2::SubnetRouteTableAssociation"
    properties = frozenset({"RouteTableId", "SubnetId"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Let the subnet follow the table, in the place of another that it followed."""
        ec2 = call.client("ec2")
        present = _association(call, "association.subnet-id", properties["SubnetId"])
        if present is None:
            association_id = ec2.associate_route_table(**properties)["AssociationId"]
        else:
            association_id = ec2.replace_route_table_association(
                AssociationId=present["RouteTableAssociationId"], RouteTableId=properties["RouteTableId"]
            )["NewAssociationId"]
        return Physical(association_id, {"Id": association_id})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return which subnet follows which table."""
        name = "association.route-table-association-id"
        association = _association(call, name, physical_id)
        return picked(association, "RouteTableId", "SubnetId") if association else None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Refuse: both properties are create-only."""
        raise HandlerError(f"{self.type_name} can't be updated")

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Let the subnet follow the VPC's main table again."""
        del properties
        with absent_is_fine(NO_ASSOCIATION):
            call.client("ec2").disassociate_route_table(AssociationId=physical_id)


def _association(call: Call, filter_name: str, value: str) -> Description | None:
    wanted = {"Name": filter_name, "Values": [value]}
    tables = call.client("ec2").describe_route_tables(Filters=[wanted])["RouteTables"]
    associations = (each for table in tables for each in table["Associations"])
    return next((each for each in associations if value in each.values()), None)


def _key(properties: Properties) -> dict[str, Any]:
    return picked(dict(properties), "RouteTableId", "DestinationCidrBlock")


def _target(properties: Properties) -> dict[str, Any]:
    target = picked(dict(properties), *_TARGETS)
    if len(target) != 1:
        raise HandlerError(f"Exactly one of {', '.join(_TARGETS)} must be specified")
    return target


HANDLERS = (RouteTable(), Route(), SubnetRouteTableAssociation())
