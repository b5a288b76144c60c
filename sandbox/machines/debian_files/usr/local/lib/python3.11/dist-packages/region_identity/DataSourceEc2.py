# SPDX-License-Identifier: Apache-2.0
"""cloud-init's EC2 data source, for a machine without the firmware tables that say "Amazon EC2".

cloud-init recognises AWS by DMI, which a container does not have, and speaks the metadata service's second
version, with tokens, only on AWS. It finds this module by `datasource_pkg_list`, before its own of the same
name.
"""

from cloudinit import sources
from cloudinit.sources import DataSourceEc2 as ec2


class DataSourceEc2(ec2.DataSourceEc2):
    """EC2 by configuration."""

    def _get_cloud_name(self):
        return ec2.CloudNames.AWS


class DataSourceEc2Local(DataSourceEc2):
    """The same in cloud-init's first stage: the network is up before the machine is, so no DHCP is needed."""


_DATA_SOURCES = [
    (DataSourceEc2Local, (sources.DEP_FILESYSTEM,)),
    (DataSourceEc2, (sources.DEP_FILESYSTEM, sources.DEP_NETWORK)),
]


def get_datasource_list(depends):
    """Return the classes that need no more than `depends`."""
    return sources.list_from_depends(depends, _DATA_SOURCES)
