# The image's template with the settings that Packer and Ansible have by themselves, as far as they work: no pipelining,
# no accelerator, Ansible's own ssh arguments. It takes the variables of packer/image.pkr.hcl.
variable "class_name" {
  type = string
}

variable "bake_key" {
  type = string
}

variable "image_name" {
  type = string
}

variable "parent_name" {
  type = string
}

variable "playbook" {
  type = string
}

variable "context" {
  type = string
}

variable "scratch" {
  type = string
}

variable "manifest" {
  type = string
}

variable "source_ami_id" {
  type = string
}

variable "instance_type" {
  type = string
}

variable "region" {
  type = string
}

variable "endpoint_url" {
  type = string
}

variable "subnet_id" {
  type = string
}

variable "security_group_id" {
  type = string
}

variable "key_name" {
  type = string
}

variable "private_key" {
  type = string
}

variable "known_hosts" {
  type = string
}

variable "user_data" {
  type = string
}

variable "encrypted_root" {
  type = bool
}

variable "strategy_plugins" {
  type = string
}

variable "tags" {
  type = map(string)
}

variable "run_tags" {
  type = map(string)
}

source "amazon-ebs" "image" {
  region                      = var.region
  custom_endpoint_ec2         = var.endpoint_url
  skip_region_validation      = true
  source_ami                  = var.source_ami_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  security_group_id           = var.security_group_id
  associate_public_ip_address = true
  user_data_file              = var.user_data
  ssh_interface               = "public_ip"
  ssh_username                = "admin"
  ssh_keypair_name            = var.key_name
  ssh_private_key_file        = var.private_key
  ami_name                    = var.image_name
  tags                        = var.tags
  snapshot_tags               = var.tags
  run_tags                    = var.run_tags
  run_volume_tags             = var.run_tags

  # Outside of what is measured.
  aws_polling {
    delay_seconds = 2
    max_attempts  = 900
  }
}

build {
  sources = ["source.amazon-ebs.image"]

  provisioner "shell" {
    inline = ["cloud-init status --wait --long"]
  }

  provisioner "ansible" {
    playbook_file = var.playbook
    # The default, its proxy, offers an ssh-rsa host key that today's ssh refuses.
    use_proxy       = false
    user            = "admin"
    extra_arguments = ["--extra-vars", "image_class=${var.class_name} image_bake_key=${var.bake_key} image_parent=${var.parent_name}"]
    ansible_env_vars = [
      "ANSIBLE_CONFIG=${var.context}/ansible.cfg",
      # So that nothing is left in the operator's home. Packer itself sets the arguments that only ssh gets.
      "ANSIBLE_HOME=${var.scratch}",
      "ANSIBLE_SSH_COMMON_ARGS=-o UserKnownHostsFile=/dev/null",
    ]
  }

  post-processor "manifest" {
    output     = var.manifest
    strip_path = true
  }
}
