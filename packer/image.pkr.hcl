# Bakes the image of one server class: launch, provision, stop, register as a candidate. Everything around it (the key,
# the security group, the boot test, publishing, cleaning up) is `invoke bake-ami`, which also sets every variable.
packer {
  required_version = ">= 1.6.6"
}

variable "class_name" {
  type = string
}

variable "bake_key" {
  type = string
}

# The AMI's name: the identity that survives a crash between CreateImage and CreateTags.
variable "image_name" {
  type = string
}

# The name of the image this one is baked on.
variable "parent_name" {
  type = string
}

variable "playbook" {
  type = string
}

# A folder that holds the files this image is made of, and nothing else.
variable "context" {
  type = string
}

# A folder of this run for what Ansible writes down. Its path is short: sockets of ssh live in it.
variable "scratch" {
  type = string
}

variable "manifest" {
  type = string
}

# Resolved by the orchestrator, owner checked: never `most_recent` here.
variable "source_ami_id" {
  type = string
}

variable "instance_type" {
  type = string
}

variable "region" {
  type = string
}

# Empty: AWS.
variable "endpoint_url" {
  type    = string
  default = ""
}

variable "subnet_id" {
  type = string
}

# Admits one address to port 22. Given, so that Packer makes no group of its own that it couldn't tag.
variable "security_group_id" {
  type = string
}

variable "key_name" {
  type = string
}

variable "private_key" {
  type = string
}

# Holds the host key that `user_data` gives the machine.
variable "known_hosts" {
  type = string
}

variable "user_data" {
  type = string
}

variable "encrypted_root" {
  type    = bool
  default = true
}

# Where mitogen's strategies are. Empty: plain Ansible, with the same result and four times as slow.
variable "strategy_plugins" {
  type    = string
  default = ""
}

variable "tags" {
  type = map(string)
}

variable "run_tags" {
  type = map(string)
}

locals {
  # ssh takes the first value of an option, so these win over what Ansible adds. The one host key is known beforehand.
  ssh_options = [
    "-o UserKnownHostsFile=${var.known_hosts}",
    "-o GlobalKnownHostsFile=/dev/null",
    "-o StrictHostKeyChecking=yes",
    "-o HostKeyAlgorithms=ssh-ed25519",
    "-o PreferredAuthentications=publickey",
    "-o ControlMaster=auto",
    "-o ControlPersist=30s",
    "-o ServerAliveInterval=15",
    "-o ServerAliveCountMax=4",
  ]
  ansible_environ = [
    "ANSIBLE_CONFIG=${var.context}/ansible.cfg",
    "ANSIBLE_HOME=${var.scratch}",
    "ANSIBLE_PIPELINING=True",
    "ANSIBLE_NOCOLOR=True",
    # Or a task is only named when it has ended.
    "ANSIBLE_DISPLAY_SKIPPED_HOSTS=True",
    "ANSIBLE_SSH_ARGS=${join(" ", local.ssh_options)}",
  ]
  accelerator = [
    "ANSIBLE_STRATEGY=mitogen_linear",
    "ANSIBLE_STRATEGY_PLUGINS=${var.strategy_plugins}",
  ]
  extra_vars = {
    image_class    = var.class_name
    image_bake_key = var.bake_key
    image_parent   = var.parent_name
    # Packer appends ANSIBLE_HOST_KEY_CHECKING=False to the environment, which mitogen obeys; this is stronger.
    ansible_host_key_checking = true
  }
}

# Tokens for instance metadata (IMDSv2) are not asked for here: Packer 1.6.6 has no word for it and refuses those it
# doesn't know, even in a dynamic block. The account's default (ModifyInstanceMetadataDefaults) covers this machine; the
# ones launched from the image get it from whoever launches them.
source "amazon-ebs" "image" {
  region                 = var.region
  custom_endpoint_ec2    = var.endpoint_url
  skip_region_validation = true

  source_ami                  = var.source_ami_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  security_group_id           = var.security_group_id
  associate_public_ip_address = true
  user_data_file              = var.user_data

  ssh_interface        = "public_ip"
  ssh_username         = "admin"
  ssh_keypair_name     = var.key_name
  ssh_private_key_file = var.private_key
  ssh_timeout          = "10m"

  ami_name      = var.image_name
  tags          = var.tags
  snapshot_tags = var.tags

  run_tags        = var.run_tags
  run_volume_tags = var.run_tags

  # At launch, because `encrypt_boot` would copy the finished image once more. Debian's root disk has this name.
  dynamic "launch_block_device_mappings" {
    for_each = var.encrypted_root ? ["/dev/xvda"] : []
    content {
      device_name           = launch_block_device_mappings.value
      encrypted             = true
      delete_on_termination = true
    }
  }

  # Packer waits for four things in turn, and looks every 15 seconds by itself.
  aws_polling {
    delay_seconds = 2
    max_attempts  = 900
  }
}

build {
  sources = ["source.amazon-ebs.image"]

  # Packages can't be installed while cloud-init does. Nothing is sent over this connection that has to be secret:
  # Packer doesn't check host keys, Ansible does.
  provisioner "shell" {
    inline = ["test ! -x /usr/bin/cloud-init || cloud-init status --wait --long"]
  }

  provisioner "ansible" {
    playbook_file = var.playbook
    # Packer's own proxy offers an ssh-rsa host key, which today's ssh refuses.
    use_proxy = false
    user      = "admin"
    # The lock pins the version; asking for it costs as long as starting Ansible.
    skip_version_check      = true
    inventory_file_template = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }}\n"
    inventory_directory     = var.scratch
    host_alias              = var.class_name
    extra_arguments         = ["--extra-vars", jsonencode(local.extra_vars)]
    ansible_env_vars        = concat(local.ansible_environ, var.strategy_plugins == "" ? [] : local.accelerator)
  }

  post-processor "manifest" {
    output     = var.manifest
    strip_path = true
  }
}
